"""Where Gunicorn's response is written to: memory first, the socket next, and never a wait that a client decides on.

A response is collected and sent in one piece. What the socket does not take at once stays in memory, and the main loop
sends it when the client reads. Only a response larger than `MAX_UNSENT_BYTES` makes its thread wait. Loaded by
Gunicorn's master; imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import select
import socket
import ssl
from typing import Any

from webapp.web.server.limits import MAX_UNSENT_BYTES, WRITE_TIMEOUT

SEND_BYTES = 256 * 1024
"""What is collected before it is sent, and given to the socket at a time."""
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ResponseOutput:
    """Stands in for the socket in Gunicorn's response; one thread at a time uses it."""

    def __init__(self, sock: socket.socket) -> None:
        """Write to a socket that does not block."""
        self._sock = sock
        self._unsent = bytearray()
        self.has_sent = False
        """Whether anything of the present response has left: it cannot be replaced by another any more."""

    def collect(self, data: bytes) -> None:
        """Collect a response that the main loop sends."""
        self._unsent += data

    def sendall(self, data: bytes) -> None:
        """Collect a part of a response."""
        self._unsent += data
        if len(self._unsent) >= SEND_BYTES:
            self.flush()

    def send(self, data: bytes) -> int:
        """Collect a part of a response, as `sendall` does."""
        self.sendall(data)
        return len(data)

    def gettimeout(self) -> float:
        """Return 0: to write an error, Gunicorn asks whether the socket blocks."""
        return 0.0

    def getsockname(self) -> Any:
        """Return the server's address, for who asks by which socket a request came."""
        return self._sock.getsockname()

    def discard(self) -> None:
        """Forget what has been collected of a response that is replaced by another."""
        self._unsent.clear()

    def begin_response(self) -> None:
        """Begin another response."""
        self.has_sent = False

    def try_flush(self) -> bool:
        """Send what the socket takes at once; return whether that was all.

        Raises:
            OSError: when the client is gone.
        """
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent if len(self._unsent) <= SEND_BYTES else self._unsent[:SEND_BYTES])
            except WOULD_BLOCK:
                return False
            self.has_sent = True
            if sent == len(self._unsent):
                self._unsent.clear()
            else:
                del self._unsent[:sent]
        return True

    def flush(self) -> None:
        """Send; wait only while more is left than may stay in memory. To be called in a request thread.

        Raises:
            OSError: when the client is gone, or reads nothing for too long.
        """
        while not self.try_flush() and len(self._unsent) > MAX_UNSENT_BYTES:
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            if not poll.poll(WRITE_TIMEOUT * 1000):
                raise TimeoutError("The client does not read.")
