"""The main loop of a worker: it owns every connection until a whole request has come, and again once it is answered.

Nothing here waits for a client, for a database or for a thread. A thread gets a request whose head and body are there;
the one exception are bodies larger than `MAX_WHOLE_BODY_BYTES`, which their thread reads after the application has
decided that it wants them. Loaded by Gunicorn's master; imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from webapp.web.server.acceptor import Acceptor
from webapp.web.server.connection import ClientConnection, Phase
from webapp.web.server.limits import LINGER_TIMEOUT, MAX_LINGER_BYTES, SEND_TIMEOUT, STOP_TIMEOUT, ClientTimeouts
from webapp.web.server.request_reader import ReadProgress
from webapp.web.server.timeouts import PhaseTimeouts

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
MAX_GATHERED = 32
"""Requests that are received before the first of them is given to a thread."""
EXPENDABLE_AFTER = 0.5
"""Seconds after which a connection that does nothing is given up for another client, where there is no room."""
_EXPENDABLE = (Phase.LINGERING, Phase.NEW, Phase.HANDSHAKE, Phase.KEPT_ALIVE)
"""Whom another client may take the place of, first the phase that is missed least."""


class RequestOwner(Protocol):
    """What the main loop hands requests to; both methods are called in its thread and must not block."""

    def handle(self, connection: ClientConnection) -> None:
        """Have a thread handle the connection's request, and `release` the connection."""

    def refuse(self, connection: ClientConnection, error: Exception) -> None:
        """Write what is wrong with the connection's request to its output."""


class ConnectionLoop:
    """All connections of a worker."""

    def __init__(self, config: Any, log: Any, timeouts: ClientTimeouts, owner: RequestOwner) -> None:
        """Begin without connections; `config` is Gunicorn's."""
        self._config, self._log, self._owner = config, log, owner
        self._upload_timeout = timeouts.upload
        self._selector = selectors.DefaultSelector()
        self._connections: set[ClientConnection] = set()
        self._timeouts: PhaseTimeouts[Phase, ClientConnection] = PhaseTimeouts(
            {
                Phase.HANDSHAKE: timeouts.head, Phase.NEW: timeouts.head, Phase.HEAD: timeouts.head,
                Phase.BODY: timeouts.body, Phase.SENDING: SEND_TIMEOUT, Phase.KEPT_ALIVE: timeouts.keep_alive,
                Phase.LINGERING: LINGER_TIMEOUT,
            }
        )  # fmt: skip
        self._acceptor: Acceptor | None = None
        self._tls: ssl.SSLContext | None = None
        # Those whose request is there, and not yet given to the owner.
        self._complete: list[ClientConnection] = []
        self._released: deque[ClientConnection] = deque()
        self._is_woken = False
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._selector.register(self._wake_reader, READ, self._process_released)
        self._steps: dict[Phase, Callable[[ClientConnection], None]] = {
            **dict.fromkeys((Phase.NEW, Phase.HEAD, Phase.BODY, Phase.KEPT_ALIVE), self._receive_request),
            Phase.HANDSHAKE: self._shake_hands, Phase.HANDLED: self._stop_watching, Phase.SENDING: self._send_rest,
            Phase.LINGERING: self._drain,
        }  # fmt: skip

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._connections)

    def listen(self, listeners: Sequence[Any], max_connections: int, tls: ssl.SSLContext | None) -> None:
        """Accept clients from now on, up to so many at once."""
        self._tls, self._max_connections = tls, max_connections
        self._acceptor = Acceptor(self._selector, listeners, self._log, self._add, self._has_room)
        self._acceptor.start()

    def run_once(self, timeout: float) -> None:
        """Wait for something to happen, and deal with it."""
        acceptor = self._acceptor
        timeout = self._timeouts.seconds_left(timeout)
        if acceptor is not None:
            timeout = acceptor.seconds_left(timeout)
        for key, events in self._selector.select(timeout):
            key.data(events)
            if len(self._complete) >= MAX_GATHERED:
                self._hand_over()
        self._hand_over()
        for _, connection in self._timeouts.due():
            self._time_out(connection)
        if acceptor is not None:
            acceptor.resume_if_due()

    def wake(self) -> None:
        """End the wait of `run_once`; may be called from any thread, and in a handler of a signal."""
        # When the pipe is full, the loop wakes up anyway.
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def release(self, connection: ClientConnection, *, is_reusable: bool) -> None:
        """Take a connection back whose request is answered; may be called from any thread."""
        connection.is_reusable = is_reusable
        self._released.append(connection)
        if not self._is_woken:
            self._is_woken = True
            self.wake()

    def _hand_over(self) -> None:
        # Not one by one: a thread that the first request wakes takes the interpreter lock while the loop receives the
        # second one, and the two change places with every request.
        for connection in self._complete:
            self._owner.handle(connection)
        self._complete.clear()

    def stop(self) -> None:
        """Accept nobody any more; wait a moment for requests of those who are silent."""
        if self._acceptor is not None:
            self._acceptor.stop()
        for phase in (Phase.HANDSHAKE, Phase.NEW, Phase.KEPT_ALIVE):
            self._timeouts.shorten(phase, STOP_TIMEOUT)

    def close(self) -> None:
        """Close all connections, and the loop."""
        for connection in list(self._connections):
            self._close(connection)
        self._selector.close()
        for end in (self._wake_reader, self._wake_writer):
            os.close(end)

    def _add(self, sock: socket.socket, client: Any, server: Any) -> None:
        phase = Phase.NEW if self._tls is None else Phase.HANDSHAKE
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except (OSError, ValueError):
                sock.close()
                return
        if len(self._connections) >= self._max_connections and (other := self._find_expendable()) is not None:
            self._close(other)
        connection = ClientConnection(sock, client, server, self._config)
        self._connections.add(connection)
        connection.phase = phase
        self._timeouts.start(phase, connection)
        self._watch_for(connection, READ)

    def _has_room(self) -> bool:
        return len(self._connections) < self._max_connections or self._find_expendable() is not None

    def _find_expendable(self) -> ClientConnection | None:
        found = (self._timeouts.oldest(phase, EXPENDABLE_AFTER) for phase in _EXPENDABLE)
        return next((connection for connection in found if connection is not None), None)

    def _on_event(self, connection: ClientConnection, _events: int) -> None:
        # It may have been closed by an earlier event of the same round.
        if (step := self._steps.get(connection.phase)) is None:
            return
        try:
            step(connection)
        except OSError:
            self._close(connection)

    def _shake_hands(self, connection: ClientConnection) -> None:
        try:
            connection.sock.do_handshake()  # type: ignore[attr-defined] # a phase of TLS sockets only
        except ssl.SSLWantReadError:
            self._watch_for(connection, READ)
        except ssl.SSLWantWriteError:
            self._watch_for(connection, WRITE)
        else:
            self._enter(connection, Phase.NEW)
            self._watch_for(connection, READ)
            self._receive_request(connection)

    def _receive_request(self, connection: ClientConnection) -> None:
        data = connection.receive_available()
        if data is None:
            return
        if not data:
            self._close(connection)
            return
        connection.reader.feed(data)
        self._advance(connection)

    def _advance(self, connection: ClientConnection) -> None:
        try:
            progress = connection.reader.advance()
        except Exception as error:  # noqa: BLE001 - Gunicorn has a response for each
            self._owner.refuse(connection, error)
            self._finish(connection, is_reusable=False)
            return
        if progress is ReadProgress.HEAD:
            self._enter(connection, Phase.HEAD)
        elif progress is ReadProgress.BODY:
            self._wait_for_body(connection)
        else:
            if progress is ReadProgress.LARGE:
                connection.stream_body(self._upload_timeout)
            self._enter(connection, Phase.HANDLED)
            self._complete.append(connection)

    def _wait_for_body(self, connection: ClientConnection) -> None:
        if connection.phase is not Phase.BODY:
            self._enter(connection, Phase.BODY)
            if connection.reader.is_invitation_expected():
                connection.invite_body()

    def _process_released(self, _events: int) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)
        # Cleared first: a connection that is released from here on wakes the loop again.
        self._is_woken = False
        while self._released:
            connection = self._released.popleft()
            try:
                self._finish(connection, is_reusable=connection.is_reusable)
            except OSError:
                self._close(connection)

    def _finish(self, connection: ClientConnection, *, is_reusable: bool) -> None:
        """Send what is left of a response; then go on with the next request, or close."""
        connection.is_reusable = is_reusable
        if not connection.output.try_flush():
            self._enter(connection, Phase.SENDING)
            self._watch_for(connection, WRITE)
        elif is_reusable and connection.reader.begin_next():
            connection.output.begin_response()
            self._watch_for(connection, READ)
            if connection.reader.has_data():
                # Sent with the request before; it does not make the socket readable.
                self._enter(connection, Phase.HEAD)
                self._advance(connection)
            else:
                self._enter(connection, Phase.KEPT_ALIVE)
        else:
            connection.end_sending()
            self._enter(connection, Phase.LINGERING)
            self._watch_for(connection, READ)

    def _send_rest(self, connection: ClientConnection) -> None:
        if connection.output.try_flush():
            self._finish(connection, is_reusable=connection.is_reusable)

    def _drain(self, connection: ClientConnection) -> None:
        data = connection.receive_available()
        if data is not None:
            connection.drained += len(data)
            if not data or connection.drained > MAX_LINGER_BYTES:
                self._close(connection)

    def _time_out(self, connection: ClientConnection) -> None:
        if connection.phase not in {Phase.HEAD, Phase.BODY}:
            self._close(connection)
            return
        connection.output.sendall(_TIMED_OUT)
        try:
            self._finish(connection, is_reusable=False)
        except OSError:
            self._close(connection)

    def _enter(self, connection: ClientConnection, phase: Phase) -> None:
        """Change the phase; one that lasts goes on with its time."""
        if phase is not connection.phase:
            self._timeouts.stop(connection.phase, connection)
            connection.phase = phase
            self._timeouts.start(phase, connection)

    def _watch_for(self, connection: ClientConnection, events: int) -> None:
        if connection.events == events:
            return
        if connection.events:
            self._selector.modify(connection.sock, events, partial(self._on_event, connection))
        else:
            self._selector.register(connection.sock, events, partial(self._on_event, connection))
        connection.events = events

    def _stop_watching(self, connection: ClientConnection) -> None:
        """Stop watching a connection that a thread has: what comes meanwhile waits in the kernel."""
        if connection.events:
            connection.events = 0
            self._selector.unregister(connection.sock)

    def _close(self, connection: ClientConnection) -> None:
        if connection.phase is Phase.CLOSED:
            return
        self._enter(connection, Phase.CLOSED)
        self._stop_watching(connection)
        self._connections.discard(connection)
        connection.sock.close()
        if self._acceptor is not None:
            self._acceptor.connection_closed()
