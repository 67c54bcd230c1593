"""The Flask extension: sets up the connection layer of an app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, before_render_template, current_app, request
from sqlalchemy import Connection, Engine

from poolproof.capacity.budget import FleetSize
from poolproof.capacity.server_info import Probe
from poolproof.core.stats import RequestStatistics
from poolproof.core.thread_share import ThreadShare, share_limit
from poolproof.fleet import process_snapshot
from poolproof.fleet.agent import FleetAgent
from poolproof.fleet.command_handler import CommandHandler
from poolproof.fleet.registry import FleetDirectory
from poolproof.integrations.request_scope import RequestScopes, guard_rule
from poolproof.integrations.wsgi import ConnectionCleanupMiddleware
from poolproof.lanes import Lanes, limit_suspended_waits, open_lanes
from poolproof.leaks import blocking_guard, checkouts
from poolproof.metrics import blocking_calls
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork

Result = TypeVar("Result")

SINGLE_PROCESS = FleetSize(workers=1, threads=1)


@dataclass(frozen=True)
class PoolingState:
    """The connection layer of one app."""

    settings: PoolSettings
    fleet: FleetSize
    lanes: Lanes
    work: UnitOfWork
    """On the interactive lane, for requests."""
    background: UnitOfWork
    console: UnitOfWork
    writer: UnitOfWork
    """For the group commit; on the interactive lane where the fleet has none."""
    probe: Probe
    requests: RequestStatistics
    scopes: RequestScopes
    """Of requests that are answered outside of the middleware, too."""
    long_work: ThreadShare
    """Held by requests that may occupy their thread for long."""
    fleet_agent: FleetAgent | None
    """Publishes this process's state to its fleet; None where no folder was given."""
    fleet_folder: Path | None = None


def init_app(
    app: Flask,
    engine: Engine,
    settings: PoolSettings,
    fleet: FleetSize = SINGLE_PROCESS,
    *,
    deadline_header: str | None = None,
    fleet_folder: Path | None = None,
) -> PoolingState:
    """Make units of work over `engine`, and return what every request of `app` has left checked out.

    `fleet` is the number of processes and threads, for the budget and for the share of the threads that long work gets.
    `deadline_header` names a header with seconds by which a trusted proxy shortens the deadline of a request; without a
    proxy that sets it, any client could.
    `fleet_folder` is where the processes of this machine publish their state.
    """
    lanes = open_lanes(engine, settings, has_writer=fleet.has_writer)
    long_work = ThreadShare(share_limit(fleet.threads, settings.long_work_share))
    limit_suspended_waits(lanes, long_work)
    requests = RequestStatistics(is_timing=settings.metrics)

    raises = guard_rule(settings.blocking_guard, app)
    pooling = PoolingState(
        settings,
        fleet,
        lanes,
        work=UnitOfWork(lanes.interactive.engine),
        background=UnitOfWork(lanes.background.engine),
        console=UnitOfWork(lanes.console.engine),
        writer=UnitOfWork(lanes.writer.engine),
        probe=Probe(lanes.console.engine),
        requests=requests,
        scopes=RequestScopes(settings.request_deadline, raises),
        long_work=long_work,
        fleet_agent=_create_fleet_agent(fleet_folder, lanes, requests) if fleet_folder is not None else None,
        fleet_folder=fleet_folder,
    )
    app.extensions["pooling"] = pooling
    middleware = ConnectionCleanupMiddleware(
        app.wsgi_app, settings.request_deadline, deadline_header, raises, pooling.requests
    )
    app.wsgi_app = middleware  # type: ignore[method-assign]
    app.before_request(set_request_name)
    before_render_template.connect(_before_rendering, app)
    blocking_calls.install_guard()
    return pooling


def _create_fleet_agent(folder: Path, lanes: Lanes, requests: RequestStatistics) -> FleetAgent:
    handler = CommandHandler(lanes)
    describe = partial(process_snapshot.describe_process, lanes, requests)
    agent = FleetAgent(FleetDirectory(folder), describe, handler.execute, handler.apply_overrides)
    requests.on_request = agent.publish_request_count
    return agent


@contextmanager
def registered_process(pooling: PoolingState, name: str) -> Iterator[None]:
    """Register this process in the fleet while the block runs: for a command that works beside the workers."""
    if pooling.fleet_agent is not None:
        pooling.fleet_agent.start(name, may_lead=False)
    try:
        yield
    finally:
        if pooling.fleet_agent is not None:
            pooling.fleet_agent.stop()


def get_pooling() -> PoolingState:
    """Return the connection layer of the current app."""
    pooling: PoolingState = current_app.extensions["pooling"]
    return pooling


def read() -> AbstractContextManager[Connection]:
    """Check out a connection of the current app for reading."""
    return get_pooling().work.read()


def transaction() -> AbstractContextManager[Connection]:
    """Check out a connection of the current app; commit at the end, or roll back and raise."""
    return get_pooling().work.transaction()


def run_in_transaction(operation: Callable[[Connection], Result], *, idempotent: bool = False) -> Result:
    """Run `operation` in a transaction of the current app, and again when another transaction got in its way.

    An `idempotent` operation is also repeated when the connection is lost; see `UnitOfWork.run_in_transaction`.
    """
    return get_pooling().work.run_in_transaction(operation, idempotent=idempotent)


def name_request(request_id: str) -> None:
    """Name this request in messages about its connections, with its id."""
    if (current := checkouts.current_request.get()) is not None:
        current.name = f"{request.method} {request.endpoint} (request {request_id})"


def set_request_name() -> None:
    """Name this request in messages about its connections by its endpoint, unless it has a name."""
    current = checkouts.current_request.get()
    if current is not None and not current.name:
        current.name = f"{request.method} {request.endpoint}"


def _before_rendering(sender: Flask, template: Any, **context: Any) -> None:
    blocking_guard.assert_no_connection_held(f"rendering {template.name}")
