"""Those who wait for a connection: first come, first served, by direct hand-over."""

from __future__ import annotations

import threading
import time

from sqlalchemy.pool import ConnectionPoolEntry


class Waiter:
    """A thread that waits; it is granted a connection, or the right to make one, exactly once.

    The signal is a plain lock, taken at birth and released by whoever grants: the cheapest
    way in Python to wake just one thread.
    """

    __slots__ = ("_signal", "granted", "record", "since")

    def __init__(self) -> None:
        """Begin to wait now."""
        self.since = time.monotonic()
        self.granted = False
        self.record: ConnectionPoolEntry | None = None
        self._signal = threading.Lock()
        self._signal.acquire()

    def grant(self, record: ConnectionPoolEntry | None) -> None:
        """Hand over a connection, or with None the right to make one; the pool's lock must be held."""
        self.record = record
        self.granted = True
        self._signal.release()

    def wait(self, seconds: float | None) -> bool:
        """Wait until granted; say whether that was in time. None waits for ever."""
        return self._signal.acquire(timeout=-1 if seconds is None else max(0.0, seconds))
