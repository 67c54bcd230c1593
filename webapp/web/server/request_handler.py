"""One request in its thread: the environ, the application, the response, and whatever goes wrong with them.

Loaded by Gunicorn's master; imports nothing of ours but the other modules of its package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache
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

FastPath = Callable[[DeferredResponse], bool]
"""Answers a request, now or later, and returns True; False leaves it to the application."""


class RequestHandler:
    """Handles requests in the threads of a worker, and in those that complete deferred responses."""

    def __init__(self, config: Any, log: Any, release: Release, report_error: ReportError) -> None:
        """Prepare to handle requests, under Gunicorn's configuration and with its log."""
        self._config, self._log = config, log
        self._release, self._report_error = release, report_error
        self._threads = RequestThreadPool(config.threads)
        self._console_threads = RequestThreadPool(1, "console")
        self.application: WSGIApplication = _no_application
        self.fast_path: FastPath | None = None
        """Answers plain requests without an environ, where there is one."""
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
        started_at = datetime.now() if self._log.access_log_enabled else None  # noqa: DTZ005 - as Gunicorn's log has it
        # The client was told by the main loop, or is told at the first read.
        connection.reader.request._expected_100_continue = False  # noqa: SLF001 - see gunicorn_worker
        deferred = DeferredResponse(self, connection, started_at)
        try:
            if self.fast_path is not None and not connection.is_streamed and self.fast_path(deferred):
                return
        except BaseException as error:  # noqa: BLE001 - it ends neither the thread nor the connection without a response
            self._fail(connection, error)
            return
        self.respond(deferred, self.application)

    def respond(self, deferred: DeferredResponse, application: WSGIApplication) -> None:
        """Send the application's response, unless it is deferred again."""
        connection = deferred.connection
        is_reusable = False
        try:
            if deferred.response is None:
                self._create_environ(deferred)
            response = deferred.response
            body = application(deferred.environ, response.start_response)
            if body is deferred:
                return
            _write(response, body)
            is_reusable = not response.should_close()
            self._log_access(deferred)
        except BaseException as error:  # noqa: BLE001 - as above
            self._fail(connection, error)
            return
        self._release(connection, is_reusable=is_reusable)

    def respond_raw(self, deferred: DeferredResponse, status: str, headers: bytes, body: bytes) -> None:
        """Write at once what Gunicorn would write in parts; the main loop sends it, so nothing here waits."""
        connection, request = deferred.connection, deferred.request
        closes = self._closes(connection) or request.should_close()
        first_lines = _first_lines(status, request.version, int(time.time()), closes=closes)
        connection.output.collect(b"".join((first_lines, headers, b"\r\n", body)))
        if deferred.started_at is not None:
            if deferred.response is None:
                self._create_environ(deferred)
            deferred.response.status, deferred.response.sent = status, len(body)
            self._log_access(deferred)
        self._release(connection, is_reusable=not closes)

    def _closes(self, connection: ClientConnection) -> bool:
        """Say whether a response is the last one of its connection, whatever the client has asked for."""
        return self.closes_connections or connection.is_streamed or not self._config.keepalive

    def _create_environ(self, deferred: DeferredResponse) -> None:
        """Make what an application of WSGI gets."""
        connection, additional = deferred.connection, deferred.environ
        deferred.response, deferred.environ = wsgi.create(
            deferred.request, connection.output, connection.client, connection.server, self._config
        )
        deferred.environ.update(additional)
        deferred.environ["wsgi.multithread"] = True
        if self._closes(connection):
            deferred.response.force_close()

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
        if deferred.started_at is not None:
            took = datetime.now() - deferred.started_at  # noqa: DTZ005 - as above
            self._log.access(deferred.response, deferred.request, deferred.environ, took)


def _write(response: Any, body: Iterable[bytes]) -> None:
    """Write a body; what an application generates is sent as it comes, a file in larger pieces, a list by the loop."""
    is_generated = not isinstance(body, (list, wsgi.FileWrapper))
    try:
        for part in body:
            response.write(part)
            if is_generated:
                response.sock.flush()
        response.close()
        if is_generated:
            response.sock.flush()
    finally:
        if close := getattr(body, "close", None):
            close()


def _no_application(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise LookupError("no application is loaded")


@lru_cache(maxsize=64)
def _first_lines(status: str, version: tuple[int, int], second: int, *, closes: bool) -> bytes:
    """Return the lines that every response of this second begins with, as Gunicorn writes them."""
    major, minor = version
    date, persistence = formatdate(second, usegmt=True), "close" if closes else "keep-alive"
    lines = (f"HTTP/{major}.{minor} {status}", "Server: gunicorn", f"Date: {date}", f"Connection: {persistence}", "")
    return "\r\n".join(lines).encode("latin-1")
