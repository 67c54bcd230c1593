"""The database's clock as a worker knows it: what was the time there when something happened here.

A worker notes the moment on its monotonic clock, and converts it later. The difference of the two clocks is measured
with statements that are sent anyway: the server's time was read between the request and the reply.
"""

from __future__ import annotations

from datetime import UTC, datetime

TOLERANCE = 0.005
"""Seconds by which the difference may be wrong before it is corrected. It stays the same meanwhile, so that a worker
never exchanges the order of two moments that are further apart."""


MAX_READING_AGE = 5.0
"""Seconds after which the server's time is read again, where there is something to write."""


class ServerClock:
    """The difference between the database's clock and the monotonic one; written by one thread."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._difference: float | None = None
        self._read_at = 0.0

    def is_known(self) -> bool:
        """Say whether the difference was measured."""
        return self._difference is not None

    def is_recent(self, now: float) -> bool:
        """Say whether the difference was measured a short while before `now`, on the monotonic clock."""
        return self._difference is not None and now - self._read_at < MAX_READING_AGE

    def record(self, server_now: datetime, sent_at: float, received_at: float) -> None:
        """Take the server's time, which it read between these moments on the monotonic clock.

        The present difference is kept where this measurement agrees with it. Otherwise the server's clock was set, the
        server is another one, or this machine slept.
        """
        self._read_at = received_at
        now = server_now.timestamp()
        least, greatest = now - received_at - TOLERANCE, now - sent_at + TOLERANCE
        if self._difference is None or not least <= self._difference <= greatest:
            self._difference = (least + greatest) / 2

    def at(self, moment: float) -> datetime:
        """Return the server's time at a moment on the monotonic clock.

        Raises:
            ValueError: when nothing was measured yet.
        """
        if self._difference is None:
            raise ValueError("the server's clock was not read yet")
        return datetime.fromtimestamp(self._difference + moment, UTC)
