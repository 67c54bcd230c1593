"""Answers that are sent later, by whoever makes them ready: no request thread waits for a commit.

WSGI has a thread wait until its answer is there. Under load that is what costs: each waiting thread
is put to sleep and woken, and all that are woken at once fight for the interpreter. A gthread worker can do
without: its connections belong to its main loop, and a thread only visits them. So a request whose
answer depends on a commit lets its thread go; who has committed sends the answer, and hands the connection back to the
main loop as the thread would have done. And where all of such a request has come, no thread visits it at
all: the main loop reads it in passing, since nothing about it can wait.

This module is loaded by Gunicorn's master and imports nothing of ours but the threads and the clients' connections.
"""

from __future__ import annotations

import errno
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from webapp.web.clients import Connection
from webapp.web.threads import RequestThreads

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Respond = Callable[[Environ, StartResponse], Iterable[bytes]]

LATER = "poolproof.later"
"""Where a request's environ has its `Later`; under other servers and in tests it has none."""

IN_PASSING = "poolproof.in_passing"
"""In a request's environ when Gunicorn's main loop itself calls: nothing may wait there."""
LARGEST_IN_PASSING = 4096
"""Bytes."""
MOST_IN_PASSING = 40
"""Events of one look at the connections."""
READS_WITHIN = 20.0
"""Seconds that a client may leave a piece of an answer unread."""


class PostponedError(BaseException):
    """A request's thread goes on without an answer; for Gunicorn's frames, which none of them catches."""


class Later:
    """The right to answer one request later. Iterable in name only: it is returned as the body to say so."""

    def __init__(self, worker: Worker, environ: Environ, start_response: StartResponse, connection: Any) -> None:
        """Promise nothing yet."""
        self._worker = worker
        self._environ = environ
        self._start_response = start_response
        self._connection = connection

    def __iter__(self) -> Any:
        """Never be read: the worker looks for this very object first."""
        raise TypeError("the answer comes later")

    def answer(self, respond: Respond) -> None:
        """Answer now, in this request thread; or, if `respond` returns this again, later still."""
        is_kept = self._worker.send(self._environ, self._start_response, self._connection, respond)
        if is_kept is not None:
            self._worker.hand_back(self._connection, is_kept)

    def answer_whole(self, status: str, headers: bytes, body: bytes) -> None:
        """Answer now with what is ready to be sent, in one piece; `headers` are lines, each with its end."""
        is_kept = self._worker.send_whole(self._start_response, self._connection, status, headers, body)
        self._worker.hand_back(self._connection, is_kept)

    def answer_elsewhere(self, respond: Respond) -> None:
        """Answer in a request thread: what takes its time, or a connection."""
        self._worker.tpool.submit(self.answer, respond)


class _Done:
    """How a visit ended, as Gunicorn's main loop asks a future."""

    __slots__ = ("_result",)

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result

    def cancelled(self) -> bool:
        return False


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's gthread, whose requests may be answered later."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Make a worker; Gunicorn's arguments."""
        super().__init__(*arguments, **named)
        self._here = threading.local()
        self._prefix = b""
        self._handed_back: deque[tuple[Any, _Done]] = deque()
        self._is_told = False
        self._is_rush = False
        self._console_port = ""
        self._console_threads = RequestThreads(1, "console")

    def load_wsgi(self) -> None:
        """Load the application and offer it to answer later."""
        super().load_wsgi()
        application: Any = getattr(self, "wsgi")  # noqa: B009 - Gunicorn has no types
        config: dict[str, Any] = getattr(application, "config", {})
        self._prefix = config.get("ANSWERED_IN_PASSING", b"")
        self._console_port = config.get("CONSOLE_PORT", "")

        def offering(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            later = Later(self, environ, start_response, self._here.connection)
            environ[LATER] = later
            if self._here.is_passing:
                environ[IN_PASSING] = True
            body: Iterable[bytes] = application(environ, start_response)
            if body is later:
                raise PostponedError
            # The thread writes it: a client that does not read may not keep it for ever.
            self._here.connection.sock.settimeout(READS_WITHIN)
            return body

        self.wsgi = offering

    def _keepalive_after(self, connection: Connection, keepalive: bool) -> bool:  # noqa: FBT001 - Gunicorn's
        return bool(super()._keepalive_after(connection, keepalive)) and not connection.is_given_up

    def _visit_in_thread(self, connection: Any) -> None:
        self._here.is_passing = False
        self._visit(connection)

    def handle_request(self, request: Any, connection: Any) -> Any:
        """Handle a request; remember whose it is."""
        self._here.connection = connection
        return super().handle_request(request, connection)

    def accept(self, listener: Any) -> None:
        """Let a client in, as Gunicorn does, on a connection of our kind."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname()))

    def get_thread_pool(self) -> RequestThreads:
        """Return the request threads."""
        return RequestThreads(self.cfg.threads)

    def enqueue_req(self, connection: Any) -> None:
        """Have a thread visit the connection; operators have one of their own, for when all others are stuck."""
        threads = self._console_threads if str(connection.server[1]) == self._console_port else self.tpool
        threads.submit(self._visit_in_thread, connection)

    def _visit(self, connection: Any) -> None:
        try:
            result = self.handle(connection)
        except PostponedError:
            return
        self.hand_back(connection, result)

    def hand_back(self, connection: Any, result: Any) -> None:
        """Let the main loop have a connection again; `result` is what `handle` returns of it."""
        self._handed_back.append((connection, _Done(result)))
        if not self._is_told:
            self._is_told = True
            self.method_queue.defer(self._take_back)

    def _take_back(self) -> None:
        # Told first: what is handed back from now on is told of again.
        self._is_told = False
        while self._handed_back:
            self.finish_request(*self._handed_back.popleft())

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what comes and see to it; in a rush, all requests are for the threads."""
        try:
            events = self.poller.select(timeout)
            # Otherwise those who come for the first time would wait until everybody else is served.
            self._is_rush = len(events) > MOST_IN_PASSING
            for key, _ in events:
                key.data(key.fileobj)
        except InterruptedError:
            return

    def on_client_socket_readable(self, connection: Any, client: socket.socket) -> None:
        """Have a thread visit a connection from which something has come, unless the main loop can do it in passing."""
        if not self._is_plain(connection, client):
            super().on_client_socket_readable(connection, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(connection)
        self._here.is_passing = True
        try:
            self._visit(connection)
        finally:
            self._here.is_passing = False

    def handle_error(self, request: Any, client: socket.socket, address: Any, error: BaseException) -> None:
        """Tell a client what is wrong with its request; the main loop does not wait for it to read that."""
        if self._here.is_passing:
            client.setblocking(False)
        super().handle_error(request, client, address, error)

    def _is_plain(self, connection: Any, client: socket.socket) -> bool:
        """Say whether all of a request that is done in passing has come: to read it waits for nothing."""
        if self._is_rush or not self._prefix or connection.is_http2 or connection.parser.unreader.buf.getvalue():
            return False
        try:
            come = client.recv(LARGEST_IN_PASSING, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        return come.startswith(self._prefix) and _is_whole(come)

    def send(self, environ: Environ, start_response: StartResponse, connection: Any, respond: Respond) -> bool | None:
        """Send an answer; return whether the connection can be used again, or None if the answer comes later still."""
        response = start_response.__self__  # type: ignore[attr-defined] # Gunicorn's own, that does the writing
        body: Iterable[bytes] = ()
        try:
            body = respond(environ, start_response)
            if body is environ[LATER]:
                return None
            connection.sock.settimeout(READS_WITHIN)
            for part in body:
                response.write(part)
            response.close()
            return not response.should_close() and self._keepalive_after(connection, keepalive=True)
        except OSError:
            return False
        except Exception:
            self.log.exception("An answer could not be sent")
            return False
        finally:
            if close := getattr(body, "close", None):
                close()

    def send_whole(
        self, start_response: StartResponse, connection: Any, status: str, headers: bytes, body: bytes
    ) -> bool:
        """Send at once what Gunicorn's response would send in parts; return whether the connection is still good."""
        response = start_response.__self__  # type: ignore[attr-defined] # Gunicorn's own
        closes = response.must_close or response.req.should_close()
        last = "close" if closes else "keep-alive"
        first = f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_date()}\r\nConnection: {last}\r\n".encode("latin-1")
        answer = b"".join((first, headers, b"\r\n", body))
        try:
            connection.sock.setblocking(False)
            # A client that does not read what it asked for is hung up on; nobody waits for it.
            is_sent = connection.sock.send(answer) == len(answer)
            return is_sent and not closes and self._keepalive_after(connection, keepalive=True)
        except OSError:
            return False


def _is_whole(come: bytes) -> bool:
    head, blank, body = come.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(blank) and length is not None and len(body) >= int(length[1]) and b"xpect:" not in head


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,4})(?:\r\n|$)", re.IGNORECASE)
_dates: dict[int, str] = {}


def _date() -> str:
    second = int(time.time())
    if (date := _dates.get(second)) is None:
        _dates.clear()
        date = _dates[second] = formatdate(second, usegmt=True)
    return date
