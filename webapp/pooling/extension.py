"""The door for Flask: one place where an app meets its connection layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, before_render_template, current_app, request
from sqlalchemy import Connection, Engine

from webapp.pooling import guard, holds, reporting
from webapp.pooling.budget import Fleet
from webapp.pooling.fleet import Folder, Tree
from webapp.pooling.lanes import Lanes, open_lanes
from webapp.pooling.middleware import GivesBack
from webapp.pooling.probe import Probe
from webapp.pooling.publishing import Publisher
from webapp.pooling.settings import PoolSettings
from webapp.pooling.statistics import RequestStatistics
from webapp.pooling.steering import Steering
from webapp.pooling.work import Work

Result = TypeVar("Result")

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
    requests: RequestStatistics
    publisher: Publisher | None
    """By which this process takes part in its fleet; None where no folder was named for that."""
    fleet_folder: Path | None = None


def init_app(
    app: Flask,
    engine: Engine,
    settings: PoolSettings,
    fleet: Fleet = ALONE,
    *,
    deadline_header: str | None = None,
    fleet_folder: Path | None = None,
) -> Pooling:
    """Put the units of work over `engine` and the net under every request of `app`.

    `fleet` says how many processes of how many threads there are, for the budget.
    `deadline_header` names a header with seconds by which a trusted proxy shortens the
    deadline of a request; without a proxy that sets it anybody could. `fleet_folder` is
    where the processes of this machine tell each other what they do.
    """
    lanes = open_lanes(engine, settings)
    requests = RequestStatistics(is_timing=settings.statistics)
    pooling = Pooling(
        settings,
        fleet,
        lanes,
        work=Work(lanes.interactive.engine),
        background=Work(lanes.background.engine),
        console=Work(lanes.console.engine),
        probe=Probe(lanes.console.engine),
        requests=requests,
        publisher=_publisher(fleet_folder, lanes, requests) if fleet_folder is not None else None,
        fleet_folder=fleet_folder,
    )
    app.extensions["pooling"] = pooling

    def raises() -> bool:
        return settings.guard == "raise" or (settings.guard == "auto" and (app.debug or app.testing))

    middleware = GivesBack(app.wsgi_app, settings.deadline, deadline_header, raises, pooling.requests)
    app.wsgi_app = middleware  # type: ignore[method-assign]
    app.before_request(_name_endpoint)
    before_render_template.connect(_before_rendering, app)
    guard.install()
    return pooling


def _publisher(folder: Path, lanes: Lanes, requests: RequestStatistics) -> Publisher:
    def describe() -> tuple[Tree, Tree]:
        counted = {
            "lanes": reporting.lanes_counted(lanes),
            "requests": reporting.requests_counted(requests),
            "commits": reporting.commits_counted(),
            "tallies": reporting.tallies_counted(),
        }
        now = {
            "lanes": reporting.lanes_now(lanes),
            "holders": reporting.holders(lanes),
            "waiters": reporting.waiters(lanes),
            "commits": reporting.commits_now(),
        }
        return counted, now

    steering = Steering(lanes)
    publisher = Publisher(Folder(folder), describe, steering.obey, steering.stand)
    requests.tell = publisher.beat
    return publisher


@contextmanager
def taking_part(pooling: Pooling, name: str) -> Iterator[None]:
    """Let the fleet see this process under a name while the block runs: a command that works beside the workers."""
    if pooling.publisher is not None:
        pooling.publisher.join(name, leads=False)
    try:
        yield
    finally:
        if pooling.publisher is not None:
            pooling.publisher.leave()


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


def name_request(request_id: str) -> None:
    """Let messages about this request's connections carry its id."""
    if (current := holds.current_request.get()) is not None:
        current.name = f"{request.method} {request.endpoint} (request {request_id})"


def _name_endpoint() -> None:
    current = holds.current_request.get()
    if current is not None and not current.name:
        current.name = f"{request.method} {request.endpoint}"


def _before_rendering(sender: Flask, template: Any, **context: Any) -> None:
    guard.must_hold_nothing(f"rendering {template.name}")
