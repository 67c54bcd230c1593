"""WSGI: what surrounds every request, so that nothing of it stays out when it is over."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from poolproof import deadlines
from poolproof.core.stats import RequestStatistics
from poolproof.leaks.checkouts import RequestCheckouts, current_request

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]


class ConnectionCleanupMiddleware:
    """WSGI middleware: when a request is over, nothing of it stays out.

    Each request runs in a context of its own. An abandoned `stream_with_context` leaves
    Flask's app context behind on the thread (flask #6123); left in a context that dies
    with its request, it cannot make the next request skip its teardown.
    """

    def __init__(
        self,
        application: WSGIApplication,
        deadline: float,
        deadline_header: str | None,
        guard_raises: Callable[[], bool],
        statistics: RequestStatistics,
    ) -> None:
        """Give each request `deadline` seconds; count its statements in `statistics`."""
        self._application = application
        self._guard_raises = guard_raises
        self._statistics = statistics
        self._deadline = deadline
        self._header = "HTTP_" + deadline_header.upper().replace("-", "_") if deadline_header else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Run one request in a context of its own."""
        request_holds = RequestCheckouts()
        request_holds.guard_raises = self._guard_raises()
        context = contextvars.copy_context()
        if "werkzeug.debug.preserve_context" in environ:
            # `with client:` in a test pops Flask's contexts outside of this call.
            return self._application(environ, start_response)
        context.run(current_request.set, request_holds)
        context.run(deadlines.set_deadline, self._request_deadline(environ))
        try:
            body = context.run(self._application, environ, start_response)
        except BaseException:
            self._finish_request(request_holds)
            raise
        return _ResponseBody(body, context, lambda: self._finish_request(request_holds))

    def _finish_request(self, request_checkouts: RequestCheckouts) -> None:
        for hold in request_checkouts.release_all():
            hold.registry.on_orphan(hold)
        if not request_checkouts.is_finished:
            request_checkouts.is_finished = True
            self._statistics.record_request(request_checkouts.statement_count)

    def _request_deadline(self, environ: Environ) -> float:
        """Return the request's deadline: ours, or a shorter one that a trusted proxy has named."""
        try:
            named = float(environ.get(self._header, "")) if self._header else self._deadline
        except ValueError:
            return self._deadline
        return named if 0 < named < self._deadline else self._deadline


class _ResponseBody:
    """A response body that is read inside its request's context and gives back at its end."""

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
            # The last byte is made: a slow reader need not keep anything out.
            self._on_end()
            raise

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                self._context.run(close)
        finally:
            self._on_end()
