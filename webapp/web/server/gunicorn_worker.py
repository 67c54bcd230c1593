"""Gunicorn's gthread worker with deferred responses, and with short requests handled by the main loop itself.

Where all bytes of a short request have arrived, no thread handles it: the main loop reads it inline, since nothing
about it can block. Responses that depend on a commit are deferred; see `deferred`.

This module is loaded by Gunicorn's master and imports nothing of ours but the other modules of its package.

This package alone touches what Gunicorn does not document (hence `gunicorn<28`; a contract test has the same list):
`ThreadWorker.load_wsgi`, `_keepalive_after`, `handle`, `handle_request`, `handle_error`, `accept`, `get_thread_pool`,
`enqueue_req`, `finish_request`, `wait_for_and_dispatch_events`, `on_client_socket_readable`, its attributes `wsgi`,
`tpool`, `poller`, `nr_conns`, `method_queue`, `keepalived_conns`; `TConn` with `sock`, `server`, `parser`, `is_http2`;
`SocketUnreader.chunk`; of a response `write`, `close`, `should_close`, `must_close`, `req`.
"""

from __future__ import annotations

import errno
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import ThreadWorker

from webapp.web.server.connection import TimedConnection
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY, INLINE_KEY, DeferredResponse, ResponseDeferredError
from webapp.web.server.thread_pool import RequestThreadPool

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_INLINE_REQUEST_BYTES = 4096
MAX_INLINE_EVENTS = 40
"""Ready connections in one iteration of the main loop above which it handles no request itself."""
WRITE_TIMEOUT = 20.0
"""Seconds for which a client may leave a part of a response unread."""


class _CompletedFuture:
    """The result of a handled request in the form in which Gunicorn's main loop expects it."""

    __slots__ = ("_result",)

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result

    def cancelled(self) -> bool:
        return False


class PoolproofWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's gthread worker, whose responses may be deferred."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make a worker with Gunicorn's arguments."""
        super().__init__(*arguments, **options)
        self._local = threading.local()
        self._inline_prefix = b""
        self._released: deque[tuple[Any, _CompletedFuture]] = deque()
        self._is_release_scheduled = False
        self._is_overloaded = False
        self._console_port = ""
        self._console_threads = RequestThreadPool(1, "console")

    def load_wsgi(self) -> None:
        """Load the application and wrap it, so that it may defer responses."""
        super().load_wsgi()
        application: Any = getattr(self, "wsgi")  # noqa: B009 - Gunicorn has no types
        config: dict[str, Any] = getattr(application, "config", {})
        self._inline_prefix = config.get("INLINE_REQUEST_PREFIX", b"")
        self._console_port = config.get("CONSOLE_PORT", "")

        def call_application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            deferred = DeferredResponse(self, environ, start_response, self._local.connection)
            environ[DEFERRED_RESPONSE_KEY] = deferred
            if self._local.is_inline:
                environ[INLINE_KEY] = True
            body: Iterable[bytes] = application(environ, start_response)
            if body is deferred:
                raise ResponseDeferredError
            # This thread writes the body: a client that does not read must not block it for ever.
            self._local.connection.sock.settimeout(WRITE_TIMEOUT)
            return body

        self.wsgi = call_application

    def _keepalive_after(self, connection: TimedConnection, keepalive: bool) -> bool:  # noqa: FBT001 - Gunicorn's
        return bool(super()._keepalive_after(connection, keepalive)) and not connection.timed_out

    def _handle_in_thread(self, connection: Any) -> None:
        self._local.is_inline = False
        self._handle_connection(connection)

    def handle_request(self, request: Any, connection: Any) -> Any:
        """Handle a request; its connection is remembered for a deferred response."""
        self._local.connection = connection
        return super().handle_request(request, connection)

    def accept(self, listener: Any) -> None:
        """Accept a client as Gunicorn does, but as a `TimedConnection`."""
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
        """Have a thread handle the connection; the console has one of its own, for when all others are stuck."""
        threads = self._console_threads if str(connection.server[1]) == self._console_port else self.tpool
        threads.submit(self._handle_in_thread, connection)

    def _handle_connection(self, connection: Any) -> None:
        try:
            result = self.handle(connection)
        except ResponseDeferredError:
            return
        self.release(connection, result)

    def release(self, connection: Any, result: Any) -> None:
        """Give a connection back to the main loop; `result` is what `handle` has returned for it."""
        self._released.append((connection, _CompletedFuture(result)))
        if not self._is_release_scheduled:
            self._is_release_scheduled = True
            self.method_queue.defer(self._process_released)

    def _process_released(self) -> None:
        # Cleared first: a connection that is released from here on schedules another call.
        self._is_release_scheduled = False
        while self._released:
            self.finish_request(*self._released.popleft())

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for ready connections and handle them; when many are ready at once, threads handle all requests."""
        try:
            events = self.poller.select(timeout)
            # Otherwise new connections would wait until all inline requests are served.
            self._is_overloaded = len(events) > MAX_INLINE_EVENTS
            for key, _ in events:
                key.data(key.fileobj)
        except InterruptedError:
            return

    def on_client_socket_readable(self, connection: Any, client: socket.socket) -> None:
        """Have a thread handle a connection that is readable, unless the main loop can handle it inline."""
        if not self._can_handle_inline(connection, client):
            super().on_client_socket_readable(connection, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(connection)
        self._local.is_inline = True
        try:
            self._handle_connection(connection)
        finally:
            self._local.is_inline = False

    def handle_error(self, request: Any, client: socket.socket, address: Any, error: BaseException) -> None:
        """Tell a client what is wrong with its request; the main loop does not block until the client reads it."""
        if self._local.is_inline:
            client.setblocking(False)
        super().handle_error(request, client, address, error)

    def _can_handle_inline(self, connection: Any, client: socket.socket) -> bool:
        """Say whether the whole of a request that may be handled inline has arrived, so that reading cannot block."""
        if (
            self._is_overloaded
            or not self._inline_prefix
            or connection.is_http2
            or connection.parser.unreader.buf.getvalue()
        ):
            return False
        try:
            data = client.recv(MAX_INLINE_REQUEST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        return data.startswith(self._inline_prefix) and _is_complete_request(data)

    def send_response(
        self, environ: WSGIEnvironment, start_response: StartResponse, connection: Any, application: WSGIApplication
    ) -> bool | None:
        """Send a response; return whether the connection can be reused, or None if the response is still deferred."""
        response = start_response.__self__  # type: ignore[attr-defined] # a bound method of Gunicorn's response
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
            self.log.exception("A response could not be sent")
            return False
        finally:
            if close := getattr(body, "close", None):
                close()

    def send_raw_response(
        self, start_response: StartResponse, connection: Any, status: str, headers: bytes, body: bytes
    ) -> bool:
        """Send in one call what Gunicorn would send in parts; return whether the connection can be reused."""
        response = start_response.__self__  # type: ignore[attr-defined] # a bound method of Gunicorn's response
        closes = response.must_close or response.req.should_close()
        persistence = "close" if closes else "keep-alive"
        first_lines = f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_http_date()}\r\nConnection: {persistence}\r\n"
        message = b"".join((first_lines.encode("latin-1"), headers, b"\r\n", body))
        try:
            connection.sock.setblocking(False)
            # A client whose receive window is full is disconnected; no thread waits for it.
            is_sent = connection.sock.send(message) == len(message)
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
