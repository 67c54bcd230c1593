"""Clients may be slow, not silent: half a request holds a request thread for some seconds, not for ever.

Gunicorn's gthread reads a request with no time-out, so that a few clients that stop in the midst of one hold every
thread. Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

SILENT_FOR = 5.0
"""Seconds that a client may keep a request thread waiting for the rest of its request."""
SLOWEST = 2000.0
"""Bytes that win it one second more: a large upload over a bad line is welcome."""


class Connection(TConn):  # type: ignore[misc]
    """Gunicorn's connection, which gives its client up in time."""

    def init(self) -> None:
        """Get ready to read a request."""
        super().init()
        if not self.is_http2:
            # A client that is kept is handed to a thread when it has said something; a new one at once.
            has_come = isinstance(self.parser.unreader, _Reader)
            if not has_come:
                self.parser.unreader = _Reader(self.sock)
            self.parser.unreader.expect(has_come=has_come)

    @property
    def is_given_up(self) -> bool:
        """Whether a request never came to its end: what comes after is not the beginning of another."""
        unreader = self.parser.unreader if self.parser else None
        return isinstance(unreader, _Reader) and unreader.is_given_up


class _Reader(SocketUnreader):  # type: ignore[misc]
    """Reads what comes; who is too slow has hung up, as far as Gunicorn is told."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.expect(has_come=False)

    def expect(self, *, has_come: bool) -> None:
        """Have a new request begin now; `has_come` when there is something to read already."""
        self._until = time.monotonic() + SILENT_FOR
        self._has_come = has_come
        self.is_given_up = False

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._has_come:
            # The usual case, and a time-out would cost it three system calls, each a turn at the interpreter.
            self._has_come = False
        else:
            self.sock.settimeout(max(self._until - time.monotonic(), 0.001))
        try:
            come: bytes = super().chunk(size_hint)
        except TimeoutError:
            self.is_given_up = True
            return b""
        self._until += len(come) / SLOWEST
        return come
