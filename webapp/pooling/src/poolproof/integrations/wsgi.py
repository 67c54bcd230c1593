"""WSGI middleware: returns every connection of a request when the request is over."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from poolproof.core.stats import RequestStatistics
from poolproof.integrations.request_scope import RequestScope, RequestScopes
from poolproof.runtime.threads import require_no_event_loop

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]


class ConnectionCleanupMiddleware:
    """WSGI middleware: each request is a `RequestScope`, and when it is over, none of its connections is out."""

    def __init__(
        self,
        application: WSGIApplication,
        deadline: float,
        deadline_header: str | None,
        guard_raises: Callable[[], bool],
        statistics: RequestStatistics,
        *,
        spares_threads: bool = False,
    ) -> None:
        """Give each request `deadline` seconds; count its statements in `statistics`.

        With `spares_threads` a thread that has inherited a request's context keeps what it has borrowed when that
        request is over.
        """
        self._application = application
        self._scopes = RequestScopes(deadline, guard_raises)
        self._statistics = statistics
        self._spares_threads = spares_threads
        self._has_thread = False
        self._header = "HTTP_" + deadline_header.upper().replace("-", "_") if deadline_header else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Run one request in a context of its own.

        Raises:
            PoolConfigurationError: when the server calls this in the thread of an event loop.
        """
        if not self._has_thread:
            require_no_event_loop()
            # One request that is served by a thread shows what kind of server it is.
            self._has_thread = True
        if "werkzeug.debug.preserve_context" in environ:
            # `with client:` in a test pops Flask's contexts outside of this call.
            return self._application(environ, start_response)
        scope = self._scopes.open(seconds=self._request_deadline(environ))
        try:
            body = scope.run(self._application, environ, start_response)
        except BaseException:
            self._finish_request(scope)
            raise
        return _ResponseBody(body, scope.context, lambda: self._finish_request(scope))

    def _finish_request(self, scope: RequestScope) -> None:
        scope.release_connections(threading.current_thread() if self._spares_threads else None)
        checkouts = scope.checkouts
        if not checkouts.is_finished:
            checkouts.is_finished = True
            self._statistics.record_request(checkouts.statement_count)

    def _request_deadline(self, environ: Environ) -> float:
        """Return the seconds for the request: the configured ones, or fewer where a trusted proxy says so."""
        try:
            requested = float(environ.get(self._header, "")) if self._header else self._scopes.deadline
        except ValueError:
            return self._scopes.deadline
        return requested if 0 < requested < self._scopes.deadline else self._scopes.deadline


class _ResponseBody:
    """A response body that is read inside its request's context and calls `on_end` at its end."""

    def __init__(self, body: Iterable[bytes], context: contextvars.Context, on_end: Callable[[], None]) -> None:
        self._body = body
        self._chunks = context.run(iter, body)
        self._context = context
        self._on_end = on_end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._chunks)
        except StopIteration:
            # The last byte is rendered: a client that reads slowly keeps no connection checked out.
            self._on_end()
            raise

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                self._context.run(close)
        finally:
            self._on_end()
