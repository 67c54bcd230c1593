"""Clients may be slow, not silent: half a request holds a request thread for some seconds, not for ever.

Gunicorn's gthread reads a request with no time-out, so that a few clients that stop in the midst of one hold every
thread. Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

READ_TIMEOUT = 5.0
"""Seconds that a client may keep a request thread waiting for the rest of its request."""
MIN_BYTES_PER_SECOND = 2000.0
"""Bytes that win it one second more: a large upload over a bad line is welcome."""


class TimedConnection(TConn):  # type: ignore[misc]
    """Gunicorn's connection, which gives its client up in time."""

    def init(self) -> None:
        """Get ready to read a request."""
        super().init()
        if not self.is_http2:
            # A client that is kept is handed to a thread when it has said something; a new one at once.
            has_data = isinstance(self.parser.unreader, _TimedReader)
            if not has_data:
                self.parser.unreader = _TimedReader(self.sock)
            self.parser.unreader.begin_request(has_data=has_data)

    @property
    def timed_out(self) -> bool:
        """Whether a request never came to its end: what comes after is not the beginning of another."""
        unreader = self.parser.unreader if self.parser else None
        return isinstance(unreader, _TimedReader) and unreader.timed_out


class _TimedReader(SocketUnreader):  # type: ignore[misc]
    """Reads what comes; who is too slow has hung up, as far as Gunicorn is told."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.begin_request(has_data=False)

    def begin_request(self, *, has_data: bool) -> None:
        """Have a new request begin now; `has_data` when there is something to read already."""
        self._deadline = time.monotonic() + READ_TIMEOUT
        self._has_data = has_data
        self.timed_out = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._has_data:
            # The usual case, and a time-out would cost it three system calls, each a turn at the interpreter.
            self._has_data = False
        else:
            self.sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
        try:
            come: bytes = super().chunk(size_hint)
        except TimeoutError:
            self.timed_out = True
            return b""
        self._deadline += len(come) / MIN_BYTES_PER_SECOND
        return come
