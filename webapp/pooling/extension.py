"""The door for Flask: one place where an app meets its connection layer."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app
from sqlalchemy import Connection, Engine

from webapp.pooling import deadlines, holds
from webapp.pooling.budget import Fleet
from webapp.pooling.lanes import Lanes, open_lanes
from webapp.pooling.probe import Probe
from webapp.pooling.settings import PoolSettings
from webapp.pooling.work import Work

Result = TypeVar("Result")
StartResponse = Callable[..., Any]
Environ = dict[str, Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


ALONE = Fleet(workers=1, threads=1)


@dataclass(frozen=True)
class Pooling:
    """What an app has of the connection layer."""

    settings: PoolSettings
    fleet: Fleet
    lanes: Lanes
    work: Work
    """On the interactive lane, for requests."""
    background: Work
    console: Work
    probe: Probe


def init_app(
    app: Flask,
    engine: Engine,
    settings: PoolSettings,
    fleet: Fleet = ALONE,
    deadline_header: str | None = None,
) -> Pooling:
    """Put the units of work over `engine` and the net under every request of `app`.

    `fleet` says how many processes of how many threads there are, for the budget.
    `deadline_header` names a header with seconds by which a trusted proxy shortens the
    deadline of a request; without a proxy that sets it anybody could.
    """
    lanes = open_lanes(engine, settings)
    pooling = Pooling(
        settings,
        fleet,
        lanes,
        Work(lanes.interactive),
        Work(lanes.background),
        Work(lanes.console),
        Probe(lanes.console),
    )
    app.extensions["pooling"] = pooling
    app.wsgi_app = _GivesBack(app.wsgi_app, settings.deadline, deadline_header)  # type: ignore[method-assign]
    return pooling


def pooling_of_this_app() -> Pooling:
    """Return the connection layer of the current app."""
    pooling: Pooling = current_app.extensions["pooling"]
    return pooling


def read() -> AbstractContextManager[Connection]:
    """Borrow a connection of the current app for reading."""
    return pooling_of_this_app().work.read()


def transaction() -> AbstractContextManager[Connection]:
    """Borrow a connection of the current app; commit at the end, or roll back and raise."""
    return pooling_of_this_app().work.transaction()


def transact(deed: Callable[[Connection], Result], *, idempotent: bool = False) -> Result:
    """Do `deed` in a transaction of the current app, again when another one got in its way.

    An `idempotent` deed is also repeated when the connection is lost; see `Work.transact`.
    """
    return pooling_of_this_app().work.transact(deed, idempotent=idempotent)


class _GivesBack:
    """WSGI middleware: when a request is over, nothing of it stays out.

    Each request runs in a context of its own. An abandoned `stream_with_context` leaves
    Flask's app context behind on the thread (flask #6123); left in a context that dies
    with its request, it cannot make the next request skip its teardown.
    """

    def __init__(self, application: Application, deadline: float, deadline_header: str | None) -> None:
        self._application = application
        self._deadline = deadline
        self._header = "HTTP_" + deadline_header.upper().replace("-", "_") if deadline_header else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request_holds = holds.RequestHolds()
        context = contextvars.copy_context()
        if "werkzeug.debug.preserve_context" in environ:
            # `with client:` in a test pops Flask's contexts outside of this call.
            return self._application(environ, start_response)
        context.run(holds.current_request.set, request_holds)
        context.run(deadlines.begin, self._seconds_for(environ))
        try:
            body = context.run(self._application, environ, start_response)
        except BaseException:
            request_holds.give_back()
            raise
        return _Body(body, context, request_holds)

    def _seconds_for(self, environ: Environ) -> float:
        """Return the request's deadline: ours, or a shorter one that a trusted proxy has named."""
        try:
            named = float(environ.get(self._header, "")) if self._header else self._deadline
        except ValueError:
            return self._deadline
        return named if 0 < named < self._deadline else self._deadline


class _Body:
    """A response body that is read inside its request's context and gives back at its end."""

    def __init__(self, body: Iterable[bytes], context: contextvars.Context, request_holds: holds.RequestHolds) -> None:
        self._body = body
        self._chunks = context.run(iter, body)
        self._context = context
        self._holds = request_holds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._chunks)
        except StopIteration:
            # The last byte is made: a slow reader need not keep anything out.
            self._holds.give_back()
            raise

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                self._context.run(close)
        finally:
            self._holds.give_back()
