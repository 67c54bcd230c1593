"""A pool for each kind of work, so that none can take the connections of another.

interactive: request threads. background: work that no request waits for (imports, exports, the collector), with a long
time-out and without shedding. console: one connection for operators, who can work when everything else is full. writer:
one connection for the group commit of a process that has one; its wait would be that of all callers in its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import URL, Engine, create_engine

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.thread_share import ThreadShare
from poolproof.engine import configure_engine, engine_options
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.settings import LIMITS, PoolSettings

BACKGROUND_TIMEOUT = 60.0
"""Seconds that background work waits for a connection."""
CONSOLE_TIMEOUT = 1.0
CONSOLE_STEP_TIMEOUT = CONSOLE_TIMEOUT / 3
"""Seconds for each of: waiting for the console's connection, reaching the server, its answer."""


@dataclass(frozen=True)
class Lane:
    """A pool with a purpose, and its leak detector."""

    name: str
    engine: Engine
    leak_detector: LeakDetector

    def is_suspended(self) -> bool:
        """Say whether the lane is suspended: it lends no connection."""
        return getattr(self.engine.pool, "is_suspended", False)


@dataclass(frozen=True)
class Lanes:
    """The lanes of one process; on an SQLite database in memory all are the same."""

    interactive: Lane
    background: Lane
    console: Lane
    writer: Lane
    """The interactive lane where the process has no group commit."""

    def __iter__(self) -> Iterator[Lane]:
        """Yield each lane once."""
        yield self.interactive
        yield from (lane for lane in (self.background, self.console, self.writer) if lane is not self.interactive)


def fair_pools(lanes: Iterable[Lane]) -> list[tuple[Lane, FairQueuePool]]:
    """Return the lanes whose pool is a FairQueuePool, each with its pool."""
    return [(lane, lane.engine.pool) for lane in lanes if isinstance(lane.engine.pool, FairQueuePool)]


def limit_suspended_waits(lanes: Lanes, share: ThreadShare) -> None:
    """Let requests that wait for a suspended lane hold a place in `share` meanwhile."""
    for _, pool in fair_pools(lanes):
        pool.suspended_wait_share = share


def open_lanes(interactive: Engine, settings: PoolSettings, *, has_writer: bool = False) -> Lanes:
    """Configure `interactive` and make the other lanes on the same database; nothing is connected yet.

    With `has_writer` the process has a group commit, which gets a lane of its own.
    """
    interactive_lane = Lane("interactive", interactive, configure_engine(interactive, settings))
    if settings.pool_class == "static":
        return Lanes(interactive_lane, interactive_lane, interactive_lane, interactive_lane)
    url = interactive.url
    return Lanes(
        interactive_lane,
        _open_lane("background", url, background_settings(settings)),
        _open_lane("console", url, console_settings(settings)),
        _open_lane("writer", url, writer_settings(settings)) if has_writer else interactive_lane,
    )


def background_settings(settings: PoolSettings) -> PoolSettings:
    """Return the settings of the lane for work that no request waits for."""
    return replace(
        settings,
        **_FIXED_SETTINGS,
        **background_time_limits(settings),
        size=settings.background_size,
        timeout=BACKGROUND_TIMEOUT,
        request_deadline=max(settings.request_deadline, BACKGROUND_TIMEOUT),
        max_waiting=None,
        codel_target=0.0,
    )


def background_time_limits(settings: PoolSettings) -> dict[str, Any]:
    """Return the time-outs of statements that no request waits for, as settings."""
    statement = max(settings.background_statement_timeout, settings.statement_timeout)
    # A read still outlasts the statement that it waits for, by as much as elsewhere.
    read = statement + settings.read_timeout - settings.statement_timeout
    return {
        "statement_timeout": statement,
        "read_timeout": min(read, LIMITS["read_timeout"].maximum),
        "write_timeout": max(statement, settings.write_timeout),
    }


def console_settings(settings: PoolSettings) -> PoolSettings:
    """Return the settings of a lane of one connection with short time-outs."""
    times: dict[str, Any] = dict.fromkeys(
        ("timeout", "connect_timeout", "read_timeout", "write_timeout"), CONSOLE_STEP_TIMEOUT
    )
    deadline = max(settings.request_deadline, CONSOLE_STEP_TIMEOUT)
    # The server ends a statement before the socket's read times out.
    statement = 0.9 * CONSOLE_STEP_TIMEOUT
    return replace(settings, **_FIXED_SETTINGS, **times, size=1, request_deadline=deadline, statement_timeout=statement)


def writer_settings(settings: PoolSettings) -> PoolSettings:
    """Return the settings of a lane of one connection for one borrower, whose callers wait for `timeout` at most."""
    return replace(settings, **_FIXED_SETTINGS, size=1, max_waiting=None, codel_target=0.0)


_FIXED_SETTINGS: dict[str, Any] = {"pool_class": "queue", "max_overflow": 0, "min_idle": 1}


def _open_lane(name: str, url: URL, settings: PoolSettings) -> Lane:
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    return Lane(name, engine, configure_engine(engine, settings, name))
