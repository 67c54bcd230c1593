"""One client's connection: its socket, what has come of its request, and what is left of its response.

The main loop owns it, except in the phase HANDLED, in which a request thread does. Its socket never blocks. Loaded by
Gunicorn's master; imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from webapp.web.server.request_reader import RequestReader
from webapp.web.server.response_output import WOULD_BLOCK, ResponseOutput

RECEIVE_BYTES = 64 * 1024


class Phase(Enum):
    """What a connection is about."""

    HANDSHAKE = auto()
    """TLS is agreed on."""
    NEW = auto()
    """Nothing has come yet."""
    HEAD = auto()
    BODY = auto()
    HANDLED = auto()
    """A thread has the request, or what commits its answer."""
    SENDING = auto()
    """The client has not read all of its response."""
    KEPT_ALIVE = auto()
    """Between two requests."""
    LINGERING = auto()
    """The response is sent; what the client still sends is thrown away until it hangs up."""
    CLOSED = auto()


class ClientConnection:
    """A client's connection."""

    __slots__ = (
        "client", "drained", "events", "is_reusable", "is_streamed", "output", "phase", "reader", "server", "sock",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, client: Any, server: Any, config: Any) -> None:
        """Take over a socket that has been accepted at the address `server`; it must not block."""
        self.sock = sock
        self.client = client
        self.server = server
        self.reader = RequestReader(config, client)
        self.output = ResponseOutput(sock)
        self.phase = Phase.NEW
        self.events = 0
        """What the main loop's selector watches the socket for."""
        self.is_reusable = False
        """Whether another request may follow the present response."""
        self.is_streamed = False
        """Whether the request's thread reads its body from the socket."""
        self.drained = 0

    def receive_available(self) -> bytes | None:
        """Return what has come, b"" at the end; None when nothing has.

        Raises:
            OSError: when the connection is broken.
        """
        try:
            data = self.sock.recv(RECEIVE_BYTES)
            if isinstance(self.sock, ssl.SSLSocket):
                # What TLS has decrypted already does not make the socket readable.
                while data and (pending := self.sock.pending()):
                    data += self.sock.recv(pending)
        except WOULD_BLOCK:
            return None
        return data

    def stream_body(self, timeout: float) -> None:
        """Have the request's thread read the body from the socket, in this time altogether."""
        self.is_streamed = True
        deadline: float | None = None
        has_to_invite = bool(self.reader.request._expected_100_continue)  # noqa: SLF001 - listed in gunicorn_worker

        def read_more() -> bytes:
            nonlocal deadline, has_to_invite
            if has_to_invite:
                has_to_invite = False
                self.invite_body()
            deadline = deadline or time.monotonic() + timeout
            while (data := self.receive_available()) is None:
                if not self._wait_until_readable(deadline):
                    return b""
            return data

        self.reader.buffer.read_more = read_more

    def invite_body(self) -> None:
        """Tell a client that waits for it to send its body.

        Raises:
            OSError: when the connection is broken.
        """
        self.output.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.output.try_flush()
        self.output.begin_response()

    def end_sending(self) -> None:
        """Tell the client that nothing follows.

        Raises:
            OSError: when the connection is broken.
        """
        if isinstance(self.sock, ssl.SSLSocket):
            # Sends TLS's own end; that of the client is not waited for.
            with suppress(ssl.SSLError, ValueError):
                self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)

    def _wait_until_readable(self, deadline: float) -> bool:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
