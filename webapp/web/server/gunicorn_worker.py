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

from webapp.web.server.connection import TimedConnection
from webapp.web.server.thread_pool import RequestThreadPool

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

DEFERRED_RESPONSE_KEY = "poolproof.deferred_response"
"""Where a request's environ has its `Later`; under other servers and in tests it has none."""

INLINE_KEY = "poolproof.inline"
"""In a request's environ when Gunicorn's main loop itself calls: nothing may wait there."""
MAX_INLINE_REQUEST_BYTES = 4096
"""Bytes."""
MAX_INLINE_EVENTS = 40
"""Events of one look at the connections."""
WRITE_TIMEOUT = 20.0
"""Seconds that a client may leave a piece of an answer unread."""


class ResponseDeferredError(BaseException):
    """A request's thread goes on without an answer; for Gunicorn's frames, which none of them catches."""


class DeferredResponse:
    """The right to answer one request later. Iterable in name only: it is returned as the body to say so."""

    def __init__(
        self, worker: PoolproofWorker, environ: Environ, start_response: StartResponse, connection: Any
    ) -> None:
        """Promise nothing yet."""
        self._worker = worker
        self._environ = environ
        self._start_response = start_response
        self._connection = connection

    def __iter__(self) -> Any:
        """Never be read: the worker looks for this very object first."""
        raise TypeError("the answer comes later")

    def complete(self, application: WsgiApplication) -> None:
        """Answer now, in this request thread; or, if `respond` returns this again, later still."""
        is_kept = self._worker.send_response(self._environ, self._start_response, self._connection, application)
        if is_kept is not None:
            self._worker.release(self._connection, is_kept)

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        """Answer now with what is ready to be sent, in one piece; `headers` are lines, each with its end."""
        is_kept = self._worker.send_raw_response(self._start_response, self._connection, status, headers, body)
        self._worker.release(self._connection, is_kept)

    def complete_in_thread(self, application: WsgiApplication) -> None:
        """Answer in a request thread: what takes its time, or a connection."""
        self._worker.tpool.submit(self.complete, application)


class _CompletedFuture:
    """How a visit ended, as Gunicorn's main loop asks a future."""

    __slots__ = ("_result",)

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result

    def cancelled(self) -> bool:
        return False


class PoolproofWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's gthread, whose requests may be answered later."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make a worker; Gunicorn's arguments."""
        super().__init__(*arguments, **options)
        self._local = threading.local()
        self._inline_prefix = b""
        self._released: deque[tuple[Any, _CompletedFuture]] = deque()
        self._is_release_scheduled = False
        self._is_overloaded = False
        self._console_port = ""
        self._console_threads = RequestThreadPool(1, "console")

    def load_wsgi(self) -> None:
        """Load the application and offer it to answer later."""
        super().load_wsgi()
        application: Any = getattr(self, "wsgi")  # noqa: B009 - Gunicorn has no types
        config: dict[str, Any] = getattr(application, "config", {})
        self._inline_prefix = config.get("INLINE_REQUEST_PREFIX", b"")
        self._console_port = config.get("CONSOLE_PORT", "")

        def offering(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            later = DeferredResponse(self, environ, start_response, self._local.connection)
            environ[DEFERRED_RESPONSE_KEY] = later
            if self._local.is_passing:
                environ[INLINE_KEY] = True
            body: Iterable[bytes] = application(environ, start_response)
            if body is later:
                raise ResponseDeferredError
            # The thread writes it: a client that does not read may not keep it for ever.
            self._local.connection.sock.settimeout(WRITE_TIMEOUT)
            return body

        self.wsgi = offering

    def _keepalive_after(self, connection: TimedConnection, keepalive: bool) -> bool:  # noqa: FBT001 - Gunicorn's
        return bool(super()._keepalive_after(connection, keepalive)) and not connection.timed_out

    def _handle_in_thread(self, connection: Any) -> None:
        self._local.is_passing = False
        self._handle_connection(connection)

    def handle_request(self, request: Any, connection: Any) -> Any:
        """Handle a request; remember whose it is."""
        self._local.connection = connection
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
        self.enqueue_req(TimedConnection(self.cfg, client, address, listener.getsockname()))

    def get_thread_pool(self) -> RequestThreadPool:
        """Return the request threads."""
        return RequestThreadPool(self.cfg.threads)

    def enqueue_req(self, connection: Any) -> None:
        """Have a thread visit the connection; operators have one of their own, for when all others are stuck."""
        threads = self._console_threads if str(connection.server[1]) == self._console_port else self.tpool
        threads.submit(self._handle_in_thread, connection)

    def _handle_connection(self, connection: Any) -> None:
        try:
            result = self.handle(connection)
        except ResponseDeferredError:
            return
        self.release(connection, result)

    def release(self, connection: Any, result: Any) -> None:
        """Let the main loop have a connection again; `result` is what `handle` returns of it."""
        self._released.append((connection, _CompletedFuture(result)))
        if not self._is_release_scheduled:
            self._is_release_scheduled = True
            self.method_queue.defer(self._process_released)

    def _process_released(self) -> None:
        # Told first: what is handed back from now on is told of again.
        self._is_release_scheduled = False
        while self._released:
            self.finish_request(*self._released.popleft())

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what comes and see to it; in a rush, all requests are for the threads."""
        try:
            events = self.poller.select(timeout)
            # Otherwise those who come for the first time would wait until everybody else is served.
            self._is_overloaded = len(events) > MAX_INLINE_EVENTS
            for key, _ in events:
                key.data(key.fileobj)
        except InterruptedError:
            return

    def on_client_socket_readable(self, connection: Any, client: socket.socket) -> None:
        """Have a thread visit a connection from which something has come, unless the main loop can do it in passing."""
        if not self._can_handle_inline(connection, client):
            super().on_client_socket_readable(connection, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(connection)
        self._local.is_passing = True
        try:
            self._handle_connection(connection)
        finally:
            self._local.is_passing = False

    def handle_error(self, request: Any, client: socket.socket, address: Any, error: BaseException) -> None:
        """Tell a client what is wrong with its request; the main loop does not wait for it to read that."""
        if self._local.is_passing:
            client.setblocking(False)
        super().handle_error(request, client, address, error)

    def _can_handle_inline(self, connection: Any, client: socket.socket) -> bool:
        """Say whether all of a request that is done in passing has come: to read it waits for nothing."""
        if (
            self._is_overloaded
            or not self._inline_prefix
            or connection.is_http2
            or connection.parser.unreader.buf.getvalue()
        ):
            return False
        try:
            come = client.recv(MAX_INLINE_REQUEST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        return come.startswith(self._inline_prefix) and _is_complete_request(come)

    def send_response(
        self, environ: Environ, start_response: StartResponse, connection: Any, application: WsgiApplication
    ) -> bool | None:
        """Send an answer; return whether the connection can be used again, or None if the answer comes later still."""
        response = start_response.__self__  # type: ignore[attr-defined] # Gunicorn's own, that does the writing
        body: Iterable[bytes] = ()
        try:
            body = application(environ, start_response)
            if body is environ[DEFERRED_RESPONSE_KEY]:
                return None
            connection.sock.settimeout(WRITE_TIMEOUT)
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

    def send_raw_response(
        self, start_response: StartResponse, connection: Any, status: str, headers: bytes, body: bytes
    ) -> bool:
        """Send at once what Gunicorn's response would send in parts; return whether the connection is still good."""
        response = start_response.__self__  # type: ignore[attr-defined] # Gunicorn's own
        closes = response.must_close or response.req.should_close()
        last = "close" if closes else "keep-alive"
        first = f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_http_date()}\r\nConnection: {last}\r\n".encode(
            "latin-1"
        )
        answer = b"".join((first, headers, b"\r\n", body))
        try:
            connection.sock.setblocking(False)
            # A client that does not read what it asked for is hung up on; nobody waits for it.
            is_sent = connection.sock.send(answer) == len(answer)
            return is_sent and not closes and self._keepalive_after(connection, keepalive=True)
        except OSError:
            return False


def _is_complete_request(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    length = _CONTENT_LENGTH.search(head)
    return bool(blank) and length is not None and len(body) >= int(length[1]) and b"xpect:" not in head


_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,4})(?:\r\n|$)", re.IGNORECASE)
_http_date_cache: dict[int, str] = {}


def _http_date() -> str:
    second = int(time.time())
    if (date := _http_date_cache.get(second)) is None:
        _http_date_cache.clear()
        date = _http_date_cache[second] = formatdate(second, usegmt=True)
    return date
