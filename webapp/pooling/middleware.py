"""WSGI: what surrounds every request, so that nothing of it stays out when it is over."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from webapp.pooling import deadlines
from webapp.pooling.holds import RequestHolds, current_request
from webapp.pooling.statistics import RequestStatistics

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class GivesBack:
    """WSGI middleware: when a request is over, nothing of it stays out.

    Each request runs in a context of its own. An abandoned `stream_with_context` leaves
    Flask's app context behind on the thread (flask #6123); left in a context that dies
    with its request, it cannot make the next request skip its teardown.
    """

    def __init__(
        self,
        application: Application,
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
        request_holds = RequestHolds()
        request_holds.raises = self._guard_raises()
        context = contextvars.copy_context()
        if "werkzeug.debug.preserve_context" in environ:
            # `with client:` in a test pops Flask's contexts outside of this call.
            return self._application(environ, start_response)
        context.run(current_request.set, request_holds)
        context.run(deadlines.begin, self._seconds_for(environ))
        try:
            body = context.run(self._application, environ, start_response)
        except BaseException:
            self._end(request_holds)
            raise
        return _Body(body, context, lambda: self._end(request_holds))

    def _end(self, request_holds: RequestHolds) -> None:
        for hold in request_holds.give_back():
            hold.holds.on_orphan(hold)
        if not request_holds.is_over:
            request_holds.is_over = True
            self._statistics.note(request_holds.statements)

    def _seconds_for(self, environ: Environ) -> float:
        """Return the request's deadline: ours, or a shorter one that a trusted proxy has named."""
        try:
            named = float(environ.get(self._header, "")) if self._header else self._deadline
        except ValueError:
            return self._deadline
        return named if 0 < named < self._deadline else self._deadline


class _Body:
    """A response body that is read inside its request's context and gives back at its end."""

    def __init__(self, body: Iterable[bytes], context: contextvars.Context, end: Callable[[], None]) -> None:
        self._body = body
        self._chunks = context.run(iter, body)
        self._context = context
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._chunks)
        except StopIteration:
            # The last byte is made: a slow reader need not keep anything out.
            self._end()
            raise

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                self._context.run(close)
        finally:
            self._end()
