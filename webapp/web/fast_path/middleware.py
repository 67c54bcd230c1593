"""The fast path: the requests of a push are answered before Flask, at a fraction of its cost.

A fast route answers a request that is plain and succeeds. Every other request (an unusual header, a body that needs
explaining, one that is refused or fails) goes to the fallback, Flask, which knows every rule. So a fast route never
answers with anything that Flask would not answer in the same words.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, request

from poolproof.core.stats import RequestStatistics
from poolproof.runtime import fork
from webapp.web import log_config
from webapp.web.fast_path.routes import FastRoute, PendingResponse, RawResponse
from webapp.web.request_context import REQUEST_ID_PATTERN
from webapp.web.security import security_headers
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY, INLINE_KEY

_ERROR_KEY = "poolproof.fast_path_error"
# They change the response, or how long it may take.
_FALLBACK_ENVIRON_KEYS = frozenset(
    (
        "HTTP_CONTENT_ENCODING",
        "HTTP_IF_MATCH",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_X_REQUEST_TIMEOUT",
        "werkzeug.debug.preserve_context",
    )
)


class FastPathMiddleware:
    """WSGI middleware: tries the fast routes, then the fallback."""

    def __init__(
        self, application: WSGIApplication, routes: Sequence[FastRoute], statistics: RequestStatistics
    ) -> None:
        """Count each answered request in `statistics`; the middleware itself sends no statement."""
        self._fallback = application
        self._routes: dict[tuple[str, int], list[FastRoute]] = {}
        for route in routes:
            self._routes.setdefault((route.method, len(route.path.split("/"))), []).append(route)
        self._statistics = statistics

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        started_at = time.monotonic()
        is_inline = environ.pop(INLINE_KEY, False)
        matched = self._match(environ)
        if matched is not None:
            route, parameters = matched
            try:
                response = route.handler(environ, *parameters, **({"inline": True} if is_inline else {}))
                if isinstance(response, PendingResponse):
                    if DEFERRED_RESPONSE_KEY in environ:
                        return self._defer(environ, route, response, started_at)
                    response = response.result()
            except Exception as error:  # noqa: BLE001 - Flask's error handlers answer it
                environ[_ERROR_KEY] = error
                response = None
            if response is not None:
                return self._send(environ, start_response, route, response, started_at)
        if is_inline:
            # The main loop must not wait for Flask, nor for what the handler would have had to read.
            deferred = environ[DEFERRED_RESPONSE_KEY]
            deferred.complete_in_thread(self._fallback if _ERROR_KEY in environ else self)
            body: Iterable[bytes] = deferred
            return body
        return self._fallback(environ, start_response)

    def _match(self, environ: WSGIEnvironment) -> tuple[FastRoute, list[str]] | None:
        segments = environ["PATH_INFO"].split("/")
        for route in self._routes.get((environ["REQUEST_METHOD"], len(segments)), ()):
            parameters = route.match(segments)
            if parameters is not None:
                return (route, parameters) if _FALLBACK_ENVIRON_KEYS.isdisjoint(environ) else None
        return None

    def _defer(
        self, environ: WSGIEnvironment, route: FastRoute, pending: PendingResponse, started_at: float
    ) -> Iterable[bytes]:
        deferred = environ[DEFERRED_RESPONSE_KEY]

        def on_done(make_response: Callable[[], RawResponse], error: BaseException | None) -> None:
            if pending.in_thread or error is not None:
                deferred.complete_in_thread(self._deferred_application(route, make_response, error, started_at))
                return
            response = make_response()
            headers = self._finish_response(environ, route, response, started_at)
            header_lines = _serialize_cached(response.headers) + _serialize_headers(headers)
            deferred.complete_raw(response.status, header_lines, response.body)

        pending.add_done_callback(on_done)
        body: Iterable[bytes] = deferred
        return body

    def _deferred_application(
        self,
        route: FastRoute,
        make_response: Callable[[], RawResponse],
        error: BaseException | None,
        started_at: float,
    ) -> WSGIApplication:
        """Return the application that answers in a request thread; an error is answered by the fallback."""

        def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if error is not None:
                environ[_ERROR_KEY] = error
                return self._fallback(environ, start_response)
            try:
                return self._send(environ, start_response, route, make_response(), started_at)
            except Exception as raised:  # noqa: BLE001 - Flask's error handlers answer it
                environ[_ERROR_KEY] = raised
                return self._fallback(environ, start_response)

        return respond

    def _send(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        route: FastRoute,
        response: RawResponse,
        started_at: float,
    ) -> Iterable[bytes]:
        start_response(
            response.status, [*response.headers, *self._finish_response(environ, route, response, started_at)]
        )
        return [response.body]

    def _finish_response(
        self, environ: WSGIEnvironment, route: FastRoute, response: RawResponse, started_at: float
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers that differ in every response; count and log the request."""
        request_id = environ.get("HTTP_X_REQUEST_ID", "")
        if not request_id or not REQUEST_ID_PATTERN.fullmatch(request_id):
            request_id = f"{_request_id_prefix[0]}{next(_request_counter):x}"
        status, seconds = int(response.status[:3]), time.monotonic() - started_at
        self._statistics.record_request(0)
        self._statistics.record_response(route.method, route.path, status, seconds)
        log_config.log_request(route.method, route.path, status, seconds, request_id)
        headers = (("X-Request-ID", request_id), ("Content-Length", str(len(response.body))))
        return (*headers, security_headers.HSTS) if environ["wsgi.url_scheme"] == "https" else headers


def init_app(app: Flask) -> None:
    """Raise again in Flask what a fast route's handler has raised, so that Flask's error handlers answer it."""
    app.before_request(_raise_stored_error)


def _raise_stored_error() -> None:
    if (error := request.environ.get(_ERROR_KEY)) is not None:
        raise error


@lru_cache(maxsize=64)
def _serialize_cached(headers: tuple[tuple[str, str], ...]) -> bytes:
    return _serialize_headers(headers)


def _serialize_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


_request_id_prefix = [secrets.token_hex(6)]
_request_counter = itertools.count(1)


def _renew_request_id_prefix() -> None:
    _request_id_prefix[0] = secrets.token_hex(6)


fork.register(_renew_request_id_prefix, fork.Phase.APPLICATION)
