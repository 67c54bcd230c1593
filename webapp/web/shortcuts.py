"""Short ways: what everybody does in a push is answered before Flask, at a fraction of the work.

A shortcut takes what is plain and goes well. Everything else (an unusual header, a body that
needs explaining, whatever is refused or fails) takes the long way through Flask, which knows
every rule; so a shortcut says nothing that Flask would not say in the same words.
"""

from __future__ import annotations

import io
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Flask, request

from webapp.pooling.statistics import RequestStatistics
from webapp.web import logs, security
from webapp.web.context import ACCEPTABLE_ID
from webapp.web.later import IN_PASSING, LATER

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

LARGEST_BODY = 1000
"""Bytes; what a player sends is far smaller."""
JSON = "application/json"
_MET = "poolproof.shortcut_met"
# They change what is to be answered, or how long that may take.
_UNUSUAL = frozenset(
    ("HTTP_IF_MATCH", "HTTP_TRANSFER_ENCODING", "HTTP_X_REQUEST_TIMEOUT", "werkzeug.debug.preserve_context")
)


@dataclass(frozen=True)
class Reply:
    """An answer: its status line, its own headers, and its body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Awaited:
    """A reply that depends on something under way: waited for now, or told later, from another thread."""

    now: Callable[[], Reply]
    later: Callable[[Callable[[Callable[[], Reply], BaseException | None], None]], None]
    elsewhere: bool = False
    """Making it takes a while, or a connection: not in the thread that tells."""


@dataclass(frozen=True)
class Shortcut:
    """Where it begins, and who answers; the answerer gets the parts of the path that `path` has in angle brackets.

    He returns None for what is not plain. What he raises is raised again on the long way.
    """

    method: str
    path: str
    answer: Callable[..., Reply | Awaited | None]


class Shortcuts:
    """WSGI middleware: tries the shortcuts, then the long way."""

    def __init__(
        self, application: WsgiApplication, shortcuts: Sequence[Shortcut], statistics: RequestStatistics
    ) -> None:
        """Count each answered request in `statistics`; it sends no statement itself."""
        self._long_way = application
        self._ways: dict[tuple[str, int], list[tuple[list[tuple[int, str]], list[int], Shortcut]]] = {}
        for one in shortcuts:
            alike = self._ways.setdefault((one.method, one.path.count("/")), [])
            alike.append((_fixed_parts(one.path), _free_parts(one.path), one))
        self._statistics = statistics

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        in_passing = environ.pop(IN_PASSING, False)
        found = self._find(environ)
        if found is not None:
            way, parts = found
            try:
                reply = way.answer(environ, *parts, **({"in_passing": True} if in_passing else {}))
                if isinstance(reply, Awaited):
                    if LATER in environ:
                        return self._postpone(environ, way, reply, began)
                    reply = reply.now()
            except Exception as error:  # noqa: BLE001 - Flask's error handlers answer it
                environ[_MET] = error
                reply = None
            if reply is not None:
                return self._send(environ, start_response, way, reply, began)
        if in_passing:
            environ[LATER].answer_elsewhere(self._long_way if _MET in environ else self)
            postponed: Iterable[bytes] = environ[LATER]
            return postponed
        return self._long_way(environ, start_response)

    def _find(self, environ: Environ) -> tuple[Shortcut, list[str]] | None:
        path = environ["PATH_INFO"]
        for fixed, free, way in self._ways.get((environ["REQUEST_METHOD"], path.count("/")), ()):
            parts = path.split("/")
            if all(parts[place] == word for place, word in fixed):
                return (way, [parts[place] for place in free]) if _UNUSUAL.isdisjoint(environ) else None
        return None

    def _postpone(self, environ: Environ, way: Shortcut, awaited: Awaited, began: float) -> Iterable[bytes]:
        later = environ[LATER]

        def then(reply: Callable[[], Reply], error: BaseException | None) -> None:
            def respond(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
                met = error
                try:
                    if met is None:
                        return self._send(environ, start_response, way, reply(), began)
                except Exception as raised:  # noqa: BLE001 - Flask's error handlers answer it
                    met = raised
                environ[_MET] = met
                return self._long_way(environ, start_response)

            if awaited.elsewhere or error is not None:
                later.answer_elsewhere(respond)
            else:
                ready = reply()
                headers = self._headers(environ, way, ready, began)
                later.answer_whole(ready.status, _constant(ready.headers) + _written(headers), ready.body)

        awaited.later(then)
        postponed: Iterable[bytes] = later
        return postponed

    def _send(
        self, environ: Environ, start_response: StartResponse, way: Shortcut, reply: Reply, began: float
    ) -> Iterable[bytes]:
        start_response(reply.status, [*reply.headers, *self._headers(environ, way, reply, began)])
        return [reply.body]

    def _headers(self, environ: Environ, way: Shortcut, reply: Reply, began: float) -> tuple[tuple[str, str], ...]:
        """Return the headers that every answer has of its own; count and log it."""
        identity = environ.get("HTTP_X_REQUEST_ID", "")
        if not identity or not ACCEPTABLE_ID.fullmatch(identity):
            identity = f"{_process[0]}{next(_count):x}"
        status, seconds = int(reply.status[:3]), time.monotonic() - began
        self._statistics.note(0)
        self._statistics.answered(way.method, way.path, status, seconds)
        logs.request(way.method, way.path, status, seconds, identity)
        headers = (("X-Request-ID", identity), ("Content-Length", str(len(reply.body))))
        return (*headers, security.TRANSPORT) if environ["wsgi.url_scheme"] == "https" else headers


def register(app: Flask) -> None:
    """Raise on the long way what a shortcut has met."""
    app.before_request(_raise_what_was_met)


def body_of(environ: Environ) -> bytes | None:
    """Return a small JSON body; None when it is something else. The long way can read it again."""
    if environ.get("CONTENT_TYPE") != JSON:
        return None
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _raise_what_was_met() -> None:
    if (error := request.environ.get(_MET)) is not None:
        raise error


def _fixed_parts(path: str) -> list[tuple[int, str]]:
    return [(place, part) for place, part in enumerate(path.split("/")) if not part.startswith("<")]


def _free_parts(path: str) -> list[int]:
    return [place for place, part in enumerate(path.split("/")) if part.startswith("<")]


@lru_cache(maxsize=64)
def _constant(headers: tuple[tuple[str, str], ...]) -> bytes:
    return _written(headers)


def _written(headers: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


_process = [secrets.token_hex(6)]
_count = itertools.count(1)


def _be_another() -> None:
    _process[0] = secrets.token_hex(6)


os.register_at_fork(after_in_child=_be_another)
