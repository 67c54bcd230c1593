"""A proxy in front of a database: it leads to another server, drops traffic as firewalls do, or cuts off a reply."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

CHUNK_SIZE = 65536
"""Bytes."""


class _ConnectionPair:
    """A client's connection, and the one to the server for it."""

    def __init__(self, client: socket.socket, server: socket.socket, is_cut: Callable[[bytes], bool]) -> None:
        self.client = client
        self.server = server
        self.is_dropping = False
        self._is_cut = is_cut
        self._cuts_reply = False

    def forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK_SIZE):
                if source is self.server and self._cuts_reply:
                    # The server has done what it was asked, and its client will never hear of it.
                    break
                if source is self.client and self._is_cut(chunk):
                    self._cuts_reply = True
                if not self.is_dropping:
                    target.sendall(chunk)
        # A dropped connection stays open: neither side gets a FIN.
        if not self.is_dropping:
            self.close()

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens on a port of this machine and forwards to another one."""

    def __init__(self, target_port: int) -> None:
        """Forward to `target_port`."""
        self.target_port = target_port
        self._pairs: list[_ConnectionPair] = []
        self._cut_pattern: bytes | None = None
        self._on_cut: Callable[[], None] = lambda: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept_connections, name="lab-proxy", daemon=True).start()

    def redirect(self, target_port: int) -> None:
        """Forward new connections to another server; open ones keep theirs."""
        self.target_port = target_port

    def drop_traffic(self) -> int:
        """Drop all further traffic of the connections that are open now; return how many those are."""
        dropped = [pair for pair in self._pairs if not pair.is_dropping]
        for pair in dropped:
            pair.is_dropping = True
        return len(dropped)

    def cut_reply(self, pattern: bytes, on_cut: Callable[[], None] = lambda: None) -> None:
        """Close the connection on which a client sends `pattern` next, when its reply has come, in place of the reply.

        `on_cut` is called before the request is forwarded.
        """
        self._on_cut = on_cut
        self._cut_pattern = pattern

    def is_cut(self) -> bool:
        """Say whether the reply that was to be cut off has been."""
        return self._cut_pattern is None

    def close(self) -> None:
        """Close the listener and all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            pair.close()

    def _takes_cut(self, request: bytes) -> bool:
        if self._cut_pattern is None or self._cut_pattern not in request:
            return False
        self._cut_pattern = None
        self._on_cut()
        return True

    def _accept_connections(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _ConnectionPair(client, server, self._takes_cut)
            self._pairs.append(pair)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pair.forward, args=ends, name="lab-proxy", daemon=True).start()
