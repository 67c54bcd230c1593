"""A time-out for reading requests: half a request occupies a request thread for some seconds, not for ever.

Gunicorn's gthread reads a request without a time-out, so a few clients that stop in the middle of one occupy every
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
"""Every so many bytes extend the time-out by a second, so that a large upload over a slow line succeeds."""


class TimedConnection(TConn):  # type: ignore[misc]
    """Gunicorn's connection with a time-out for reading a request."""

    def init(self) -> None:
        """Prepare for reading a request."""
        super().init()
        if not self.is_http2:
            # A kept-alive connection reaches a thread when it is readable; a new one does so at once.
            has_data = isinstance(self.parser.unreader, _TimedReader)
            if not has_data:
                self.parser.unreader = _TimedReader(self.sock)
            self.parser.unreader.begin_request(has_data=has_data)

    @property
    def timed_out(self) -> bool:
        """Whether a request was not read to its end, so that later bytes are not the beginning of another."""
        unreader = self.parser.unreader if self.parser else None
        return isinstance(unreader, _TimedReader) and unreader.timed_out


class _TimedReader(SocketUnreader):  # type: ignore[misc]
    """Reads from the socket; after the time-out it reports the end of the stream to Gunicorn."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.begin_request(has_data=False)

    def begin_request(self, *, has_data: bool) -> None:
        """Start the time-out of a new request; `has_data` when the socket is readable already."""
        self._deadline = time.monotonic() + READ_TIMEOUT
        self._has_data = has_data
        self.timed_out = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._has_data:
            # The usual case. Setting a time-out would take three system calls, each of which releases the interpreter.
            self._has_data = False
        else:
            self.sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
        try:
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            self.timed_out = True
            return b""
        self._deadline += len(data) / MIN_BYTES_PER_SECOND
        return data
