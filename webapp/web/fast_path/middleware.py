"""The fast path: the requests of a push are answered before Flask, at a fraction of its cost.

A fast route answers a request that is plain and succeeds. Every other request (an unusual header, a body that needs
explaining, one that is refused or fails) goes to the fallback, Flask, which knows every rule. So a fast route never
answers with anything that Flask would not answer in the same words.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, request

from poolproof.core.stats import RequestStatistics
from poolproof.integrations.request_scope import RequestScopes
from poolproof.runtime import fork
from webapp.web import log_config
from webapp.web.fast_path.routes import FastRoute, PendingResponse, PlainRequest, RawResponse, plain_request
from webapp.web.request_context import REQUEST_ID_PATTERN
from webapp.web.security import security_headers
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY

_ERROR_KEY = "poolproof.fast_path_error"
_TRIED_KEY = "poolproof.fast_path_tried"
# They change the response, or how long it may take.
_FALLBACK_FIELDS = frozenset(("CONTENT-ENCODING", "IF-MATCH", "TRANSFER-ENCODING", "X-REQUEST-TIMEOUT"))
_PRESERVED_KEY = "werkzeug.debug.preserve_context"
"""Set by Flask's test client, whose tests look into the context that only Flask has."""


class _FastRequest:
    """A request that a fast route has taken."""

    __slots__ = ("name", "plain", "request_id", "route", "started_at", "statement_count")

    def __init__(self, plain: PlainRequest, route: FastRoute, started_at: float) -> None:
        self.plain = plain
        self.route = route
        self.started_at = started_at
        self.statement_count = 0
        request_id = plain.fields.get("X-REQUEST-ID", "")
        if not request_id or not REQUEST_ID_PATTERN.fullmatch(request_id):
            request_id = f"{_request_id_prefix[0]}{next(_request_counter):x}"
        self.request_id = request_id
        self.name = f"{route.method} {route.path} (request {request_id})"


class FastPath:
    """Tries the fast routes, then the fallback: for our worker by `take`, for any other server as WSGI middleware."""

    def __init__(
        self,
        application: WSGIApplication,
        routes: Sequence[FastRoute],
        statistics: RequestStatistics,
        scopes: RequestScopes,
    ) -> None:
        """Count each answered request in `statistics`; handlers run in `scopes`, as the fallback's requests do."""
        self._fallback = application
        self._routes: dict[str, list[FastRoute]] = {}
        for route in routes:
            self._routes.setdefault(route.method, []).append(route)
        self._statistics = statistics
        self._scopes = scopes

    def take(self, deferred: Any) -> bool:
        """Answer a request that our worker has received, now or later; False leaves it to the application.

        No environ is built. `deferred` is the worker's `DeferredResponse`.
        """
        started_at, received = time.monotonic(), deferred.request
        if "%" in received.path:
            # An environ has it decoded.
            return False
        matched = self._match(received.method, received.path)
        deferred.environ[_TRIED_KEY] = True
        if matched is None or not _FALLBACK_FIELDS.isdisjoint(received.fields):
            return False
        route, parameters = matched
        plain = PlainRequest(received.fields, received.query, "", received.scheme, deferred.read_body)
        request = _FastRequest(plain, route, started_at)
        try:
            response = self._handle(request, parameters, can_defer=True)
        except Exception as error:  # noqa: BLE001 - Flask's error handlers answer it
            deferred.environ[_ERROR_KEY] = error
            return False
        if isinstance(response, RawResponse):
            self._complete(request, deferred, response)
        elif response is not None:
            self._complete_later(request, deferred, response)
        return response is not None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that any server has received."""
        if _TRIED_KEY in environ:
            return self._fallback(environ, start_response)
        started_at, deferred = time.monotonic(), environ.get(DEFERRED_RESPONSE_KEY)
        matched = self._match(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if matched is None or _PRESERVED_KEY in environ:
            return self._fallback(environ, start_response)
        route, parameters = matched
        request = _FastRequest(plain_request(environ), route, started_at)
        try:
            response = None
            if _FALLBACK_FIELDS.isdisjoint(request.plain.fields):
                response = self._handle(request, parameters, can_defer=deferred is not None)
        except Exception as error:  # noqa: BLE001 - Flask's error handlers answer it
            environ[_ERROR_KEY] = error
            response = None
        if response is None:
            return self._fallback(environ, start_response)
        if isinstance(response, RawResponse):
            return self._send(request, start_response, response)
        self._complete_later(request, deferred, response)
        body: Iterable[bytes] = deferred  # type: ignore[assignment]
        return body

    def _match(self, method: str, path: str) -> tuple[FastRoute, tuple[str, ...]] | None:
        for route in self._routes.get(method, ()):
            if (match := route.match(path)) is not None:
                return route, match.groups()
        return None

    def _handle(
        self, request: _FastRequest, parameters: tuple[str, ...], *, can_defer: bool
    ) -> RawResponse | PendingResponse | None:
        with self._scopes.open(request.name) as scope:
            response = scope.run(request.route.handler, request.plain, *parameters)
            if isinstance(response, PendingResponse) and not can_defer:
                response = scope.run(response.result)
            request.statement_count = scope.checkouts.statement_count
        return response

    def _complete_later(self, request: _FastRequest, deferred: Any, response: PendingResponse) -> None:
        def on_done(future: Future[Any]) -> None:
            if response.in_thread or future.exception() is not None:
                deferred.complete_in_thread(partial(self._complete_in_thread, request, response))
            else:
                self._complete(request, deferred, response.make_response(future.result()))

        response.future.add_done_callback(on_done)

    def _complete(self, request: _FastRequest, deferred: Any, response: RawResponse) -> None:
        lines = _serialize_cached(response.headers) + _serialize_headers(self._finish_request(request, response))
        deferred.complete_raw(response.status, lines, response.body)

    def _complete_in_thread(
        self, request: _FastRequest, pending: PendingResponse, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer, as an application, a request whose operation is over; an error is answered by the fallback."""
        try:
            seconds_left = max(0.0, request.started_at + self._scopes.deadline - time.monotonic())
            with self._scopes.open(request.name, seconds_left) as scope:
                response = scope.run(pending.result)
                request.statement_count += scope.checkouts.statement_count
            return self._send(request, start_response, response)
        except Exception as raised:  # noqa: BLE001 - Flask's error handlers answer it
            environ[_ERROR_KEY] = raised
            return self._fallback(environ, start_response)

    def _send(self, request: _FastRequest, start_response: StartResponse, response: RawResponse) -> Iterable[bytes]:
        start_response(response.status, [*response.headers, *self._finish_request(request, response)])
        return [response.body]

    def _finish_request(self, request: _FastRequest, response: RawResponse) -> tuple[tuple[str, str], ...]:
        """Return the headers that differ in every response; count and log the request."""
        method, path, seconds = request.route.method, request.route.path, time.monotonic() - request.started_at
        status = int(response.status[:3])
        self._statistics.record_request(request.statement_count)
        self._statistics.record_response(method, path, status, seconds)
        log_config.log_request(method, path, status, seconds, request.request_id)
        headers = (("X-Request-ID", request.request_id), ("Content-Length", str(len(response.body))))
        return (*headers, security_headers.HSTS) if request.plain.scheme == "https" else headers


def flask_response(response: RawResponse) -> Response:
    """Return what an operation has answered as a response of Flask."""
    return Response(response.body, response.status, response.headers)


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
