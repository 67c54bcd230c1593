"""Short ways: what everybody does in a push is answered before Flask, at a fraction of the work.

A shortcut takes what is plain and goes well. Everything else (an unusual header, a body that
needs explaining, whatever is refused or fails) takes the long way through Flask, which knows
every rule; so a shortcut says nothing that Flask would not say in the same words.
"""

from __future__ import annotations

import io
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Flask, request

from poolproof.core.stats import RequestStatistics
from poolproof.runtime import fork
from webapp.web import log_config
from webapp.web.request_context import REQUEST_ID_PATTERN
from webapp.web.security import security_headers
from webapp.web.server.gunicorn_worker import DEFERRED_RESPONSE_KEY, INLINE_KEY

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

MAX_BODY_BYTES = 1000
"""Bytes; what a player sends is far smaller."""
JSON_MEDIA_TYPE = "application/json"
_ERROR_KEY = "poolproof.fast_path_error"
# They change what is to be answered, or how long that may take.
_FALLBACK_ENVIRON_KEYS = frozenset(
    ("HTTP_IF_MATCH", "HTTP_TRANSFER_ENCODING", "HTTP_X_REQUEST_TIMEOUT", "werkzeug.debug.preserve_context")
)


@dataclass(frozen=True)
class RawResponse:
    """An answer: its status line, its own headers, and its body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class PendingResponse:
    """A reply that depends on something under way: waited for now, or told later, from another thread."""

    result: Callable[[], RawResponse]
    add_done_callback: Callable[[Callable[[Callable[[], RawResponse], BaseException | None], None]], None]
    in_thread: bool = False
    """Making it takes a while, or a connection: not in the thread that tells."""


@dataclass(frozen=True)
class FastRoute:
    """Where it begins, and who answers; the answerer gets the parts of the path that `path` has in angle brackets.

    He returns None for what is not plain. What he raises is raised again on the long way.
    """

    method: str
    path: str
    handler: Callable[..., RawResponse | PendingResponse | None]


class FastPathMiddleware:
    """WSGI middleware: tries the shortcuts, then the long way."""

    def __init__(
        self, application: WsgiApplication, routes: Sequence[FastRoute], statistics: RequestStatistics
    ) -> None:
        """Count each answered request in `statistics`; it sends no statement itself."""
        self._fallback = application
        self._routes: dict[tuple[str, int], list[tuple[list[tuple[int, str]], list[int], FastRoute]]] = {}
        for one in routes:
            alike = self._routes.setdefault((one.method, one.path.count("/")), [])
            alike.append((_literal_segments(one.path), _parameter_segments(one.path), one))
        self._statistics = statistics

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        is_inline = environ.pop(INLINE_KEY, False)
        found = self._match(environ)
        if found is not None:
            way, parts = found
            try:
                reply = way.handler(environ, *parts, **({"inline": True} if is_inline else {}))
                if isinstance(reply, PendingResponse):
                    if DEFERRED_RESPONSE_KEY in environ:
                        return self._defer(environ, way, reply, began)
                    reply = reply.result()
            except Exception as error:  # noqa: BLE001 - Flask's error handlers answer it
                environ[_ERROR_KEY] = error
                reply = None
            if reply is not None:
                return self._send(environ, start_response, way, reply, began)
        if is_inline:
            environ[DEFERRED_RESPONSE_KEY].complete_in_thread(self._fallback if _ERROR_KEY in environ else self)
            postponed: Iterable[bytes] = environ[DEFERRED_RESPONSE_KEY]
            return postponed
        return self._fallback(environ, start_response)

    def _match(self, environ: Environ) -> tuple[FastRoute, list[str]] | None:
        path = environ["PATH_INFO"]
        for fixed, free, way in self._routes.get((environ["REQUEST_METHOD"], path.count("/")), ()):
            parts = path.split("/")
            if all(parts[place] == word for place, word in fixed):
                return (way, [parts[place] for place in free]) if _FALLBACK_ENVIRON_KEYS.isdisjoint(environ) else None
        return None

    def _defer(
        self, environ: Environ, route: FastRoute, pending: PendingResponse, started_at: float
    ) -> Iterable[bytes]:
        later = environ[DEFERRED_RESPONSE_KEY]

        def then(reply: Callable[[], RawResponse], error: BaseException | None) -> None:
            def respond(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
                met = error
                try:
                    if met is None:
                        return self._send(environ, start_response, route, reply(), started_at)
                except Exception as raised:  # noqa: BLE001 - Flask's error handlers answer it
                    met = raised
                environ[_ERROR_KEY] = met
                return self._fallback(environ, start_response)

            if pending.in_thread or error is not None:
                later.complete_in_thread(respond)
            else:
                ready = reply()
                headers = self._finish_response(environ, route, ready, started_at)
                later.complete_raw(
                    ready.status, _serialize_cached(ready.headers) + _serialize_headers(headers), ready.body
                )

        pending.add_done_callback(then)
        postponed: Iterable[bytes] = later
        return postponed

    def _send(
        self,
        environ: Environ,
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
        self, environ: Environ, route: FastRoute, response: RawResponse, started_at: float
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers that every answer has of its own; count and log it."""
        identity = environ.get("HTTP_X_REQUEST_ID", "")
        if not identity or not REQUEST_ID_PATTERN.fullmatch(identity):
            identity = f"{_request_id_prefix[0]}{next(_request_counter):x}"
        status, seconds = int(response.status[:3]), time.monotonic() - started_at
        self._statistics.record_request(0)
        self._statistics.record_response(route.method, route.path, status, seconds)
        log_config.log_request(route.method, route.path, status, seconds, identity)
        headers = (("X-Request-ID", identity), ("Content-Length", str(len(response.body))))
        return (*headers, security_headers.HSTS) if environ["wsgi.url_scheme"] == "https" else headers


def init_app(app: Flask) -> None:
    """Raise on the long way what a shortcut has met."""
    app.before_request(_raise_stored_error)


def read_json_body(environ: Environ) -> bytes | None:
    """Return a small JSON body; None when it is something else. The long way can read it again."""
    if environ.get("CONTENT_TYPE") != JSON_MEDIA_TYPE:
        return None
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _raise_stored_error() -> None:
    if (error := request.environ.get(_ERROR_KEY)) is not None:
        raise error


def _literal_segments(path: str) -> list[tuple[int, str]]:
    return [(place, part) for place, part in enumerate(path.split("/")) if not part.startswith("<")]


def _parameter_segments(path: str) -> list[int]:
    return [place for place, part in enumerate(path.split("/")) if part.startswith("<")]


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
