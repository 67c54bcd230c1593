"""WSGI middleware: returns every connection of a request when the request is over."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from poolproof import deadlines
from poolproof.core.stats import RequestStatistics
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from poolproof.runtime.threads import require_no_event_loop
from poolproof.transactions import outcomes

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]


class ConnectionCleanupMiddleware:
    """WSGI middleware: when a request is over, none of its connections stays checked out.

    Each request runs in a context of its own. An abandoned `stream_with_context` leaves Flask's app context behind on
    the thread (flask #6123); in a context that ends with its request, it cannot keep the next request from its
    teardown.
    """

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
        self._guard_raises = guard_raises
        self._statistics = statistics
        self._spares_threads = spares_threads
        self._deadline = deadline
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
        checkouts = RequestCheckouts()
        checkouts.guard_raises = self._guard_raises()
        context = contextvars.copy_context()
        if "werkzeug.debug.preserve_context" in environ:
            # `with client:` in a test pops Flask's contexts outside of this call.
            return self._application(environ, start_response)
        context.run(current_request.set, checkouts)
        context.run(outcomes.current_writes.set, outcomes.RequestWrites())
        context.run(deadlines.set_deadline, self._request_deadline(environ))
        try:
            body = context.run(self._application, environ, start_response)
        except BaseException:
            self._finish_request(checkouts)
            raise
        return _ResponseBody(body, context, lambda: self._finish_request(checkouts))

    def _finish_request(self, request_checkouts: RequestCheckouts) -> None:
        thread = threading.current_thread() if self._spares_threads else None
        for checkout in request_checkouts.release_all(thread):
            checkout.registry.on_orphan(checkout)
        if not request_checkouts.is_finished:
            request_checkouts.is_finished = True
            self._statistics.record_request(request_checkouts.statement_count)

    def _request_deadline(self, environ: Environ) -> float:
        """Return the seconds for the request: the configured ones, or fewer where a trusted proxy says so."""
        try:
            requested = float(environ.get(self._header, "")) if self._header else self._deadline
        except ValueError:
            return self._deadline
        return requested if 0 < requested < self._deadline else self._deadline


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
