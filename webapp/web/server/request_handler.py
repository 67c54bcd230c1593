"""One request in its thread: the environ, the application, the response, and whatever goes wrong with them.

Loaded by Gunicorn's master; imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import formatdate
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.http import wsgi

from webapp.web.server.connection import ClientConnection
from webapp.web.server.deferred import DeferredResponse
from webapp.web.server.thread_pool import RequestThreadPool

Release = Callable[..., None]
"""Gives a connection back to the main loop: `release(connection, is_reusable=True)`."""
ReportError = Callable[[Any, Any, Any, BaseException], None]
"""Gunicorn's `handle_error(request, socket, client's address, error)`."""


class RequestHandler:
    """Handles requests in the threads of a worker, and in those that complete deferred responses."""

    def __init__(self, config: Any, log: Any, release: Release, report_error: ReportError) -> None:
        """Prepare to handle requests, under Gunicorn's configuration and with its log."""
        self._config, self._log = config, log
        self._release, self._report_error = release, report_error
        self._threads = RequestThreadPool(config.threads)
        self._console_threads = RequestThreadPool(1, "console")
        self.application: WSGIApplication = _no_application
        self.console_port = ""
        """Requests at this port have a thread of their own, for when all others are stuck."""
        self.closes_connections = False
        """Whether each response is the last one of its connection: the worker stops."""

    @property
    def threads(self) -> RequestThreadPool:
        """The request threads."""
        return self._threads

    def submit(self, connection: ClientConnection, task: Callable[..., None], *arguments: Any) -> None:
        """Have a request thread run a task of a connection."""
        is_console = bool(self.console_port) and str(connection.server[1]) == self.console_port
        (self._console_threads if is_console else self._threads).submit(task, *arguments)

    def shutdown(self) -> None:
        """End the threads when they have nothing to do."""
        self._threads.shutdown(wait=False)
        self._console_threads.shutdown(wait=False)

    def handle(self, connection: ClientConnection) -> None:
        """Answer the connection's request."""
        request, started_at = connection.reader.request, datetime.now()  # noqa: DTZ005 - as Gunicorn's access log has it
        # The client was told by the main loop, or is told at the first read.
        request._expected_100_continue = False  # noqa: SLF001 - see gunicorn_worker
        try:
            response, environ = wsgi.create(
                request, connection.output, connection.client, connection.server, self._config
            )
        except BaseException as error:  # noqa: BLE001 - it ends neither the thread nor the connection without a response
            self._fail(connection, error)
            return
        environ["wsgi.multithread"] = True
        if self.closes_connections or connection.is_streamed or not self._config.keepalive:
            response.force_close()
        self.respond(DeferredResponse(self, environ, response, connection, started_at), self.application)

    def respond(self, deferred: DeferredResponse, application: WSGIApplication) -> None:
        """Send the application's response, unless it is deferred again."""
        response, connection = deferred.response, deferred.connection
        is_reusable = False
        try:
            body = application(deferred.environ, response.start_response)
            if body is deferred:
                return
            _write(response, body)
            connection.output.flush()
            is_reusable = not response.should_close()
            self._log_access(deferred)
        except BaseException as error:  # noqa: BLE001 - as above
            self._fail(connection, error)
            return
        self._release(connection, is_reusable=is_reusable)

    def respond_raw(self, deferred: DeferredResponse, status: str, headers: bytes, body: bytes) -> None:
        """Send in one call what Gunicorn would send in parts; does not block."""
        response, connection = deferred.response, deferred.connection
        closes = response.must_close or self.closes_connections or response.req.should_close()
        persistence = "close" if closes else "keep-alive"
        first_lines = f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_http_date()}\r\nConnection: {persistence}\r\n"
        try:
            connection.output.sendall(b"".join((first_lines.encode("latin-1"), headers, b"\r\n", body)))
            connection.output.try_flush()
        except OSError:
            closes = True
        response.status, response.sent = status, len(body)
        self._log_access(deferred)
        self._release(connection, is_reusable=not closes)

    def _fail(self, connection: ClientConnection, error: BaseException) -> None:
        """Answer with an error if nothing has been sent yet; in any case the connection ends. Called in an `except`."""
        request, output = connection.reader.request, connection.output
        if output.has_sent:
            if not isinstance(error, OSError):
                self._log.exception("A response was cut off")
            output.discard()
        else:
            output.discard()
            self._report_error(request, output, connection.client, error)
        self._release(connection, is_reusable=False)

    def _log_access(self, deferred: DeferredResponse) -> None:
        if self._log.access_log_enabled:
            response, started_at = deferred.response, deferred.started_at
            took = datetime.now() - started_at  # noqa: DTZ005 - as above
            self._log.access(response, response.req, deferred.environ, took)


def _write(response: Any, body: Iterable[bytes]) -> None:
    """Write a body; what an application generates is sent as it comes, a file in larger pieces."""
    is_file = isinstance(body, wsgi.FileWrapper)
    try:
        for part in body:
            response.write(part)
            if not is_file:
                response.sock.flush()
        response.close()
    finally:
        if close := getattr(body, "close", None):
            close()


def _no_application(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise LookupError("no application is loaded")


_http_date_cache: dict[int, str] = {}


def _http_date() -> str:
    second = int(time.time())
    if (date := _http_date_cache.get(second)) is None:
        _http_date_cache.clear()
        date = _http_date_cache[second] = formatdate(second, usegmt=True)
    return date
