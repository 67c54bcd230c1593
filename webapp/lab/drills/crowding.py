"""No connection to be had: others have them all, slow statements hold them, or nobody gives them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from webapp.lab.drill import Drill, Stage, alone
from webapp.lab.pools import LoadedPool
from webapp.lab.recovery import Check, full_rate_within, no_errors, nobody_waits_longer
from webapp.pooling.watch import Kind

SIZE = 4
STOCK_MOST = 15
"""What SQLAlchemy's own pool lends by default: 5 and 10 more."""
BEFORE, AFTER = 1.5, 2.5
ALLOWED = 20
"""max_connections while others take them."""
CROWD, CROWDED_EVERY, HOLD = 9, 0.25, 0.03
"""Threads, all at the same moment; seconds."""
CROWDED = 2.0
SLOW = 6.0
STATEMENT_TIMEOUT = 1.0
THREADS, EVERY = 4, 0.04
WATCH_AFTER = 1.0


def _others(stage: Stage) -> Sequence[Check]:
    server = stage.ground.server()
    server.execute(f"SET GLOBAL max_connections = {ALLOWED}")
    try:
        with stage.pool(SIZE) as pool, stage.load(pool.sleeping(HOLD), CROWD, CROWDED_EVERY, together=True):
            time.sleep(BEFORE)
            stage.fault("others take the rest")
            with _everything_taken(stage):
                time.sleep(CROWDED)
            stage.over("others leave")
            time.sleep(AFTER)
    finally:
        server.execute("SET GLOBAL max_connections = 60")
    course = stage.measured()
    return [no_errors(course), full_rate_within(course, 1.0)]


@contextmanager
def _everything_taken(stage: Stage) -> Iterator[None]:
    """Open connections until the server refuses; whoever leaves one meanwhile finds it taken."""
    done = threading.Event()

    def take() -> None:
        with ExitStack() as taken:
            while not done.wait(0.005):
                with suppress(DBAPIError):
                    taken.enter_context(alone(stage.ground.address()))

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    try:
        yield
    finally:
        done.set()
        taker.join()


def _slow(stage: Stage) -> Sequence[Check]:
    pooled = stage.pool(SIZE, statement_timeout=STATEMENT_TIMEOUT, read_timeout=STATEMENT_TIMEOUT + 1)
    with pooled as pool, stage.load(pool.mixed, THREADS, EVERY, together=True):
        time.sleep(BEFORE)
        stage.fault("slow statements on every connection")
        _with_all_connections(stage, lambda: pool.sleeping(SLOW)(0, 0))
        time.sleep(SLOW + 1.0)
    course = stage.measured()
    return [nobody_waits_longer(course, STATEMENT_TIMEOUT + 2.0), full_rate_within(course, STATEMENT_TIMEOUT + 1.5)]


def _leak(stage: Stage) -> Sequence[Check]:
    forgotten: list[Any] = []
    with stage.pool(SIZE, watch_after=WATCH_AFTER) as pool:
        try:
            with stage.load(pool.mixed, THREADS, EVERY, together=True):
                time.sleep(BEFORE)
                stage.fault("every connection borrowed, none returned")
                _with_all_connections(stage, lambda: forgotten.append(pool.work.engine.connect()))
                time.sleep(WATCH_AFTER + AFTER)
        finally:
            # Without a watch they would be out for ever, and the waiting with them.
            for connection in forgotten:
                with suppress(Exception):
                    connection.close()
    course = stage.measured()
    return [_named(pool, len(forgotten)), full_rate_within(course, WATCH_AFTER + 1.5)]


def _with_all_connections(stage: Stage, deed: Any) -> None:
    """Do something once for each connection of the pool, all at the same time, in threads that then end."""

    def quietly() -> None:
        with suppress(Exception):
            deed()

    for _ in range(SIZE if stage.is_protected else STOCK_MOST):
        threading.Thread(target=quietly, name="lab-fault", daemon=True).start()


def _named(pool: LoadedPool, leaked: int) -> Check:
    events = [] if pool.watch is None else [one for one in pool.watch.events if one.kind is Kind.ORPHANED]
    said = f"{len(events)} of {leaked} were" + (f": {events[0].sentence}" if events else "")
    return Check("each leaked connection is named", said, 0 < leaked <= len(events))


DRILLS = (
    Drill(
        "others",
        "When others have taken all connections that the server had left, ours that are open serve everybody.",
        "SQLAlchemy's own pool with its defaults: what is above five is opened and closed for each use",
        7,
        _others,
    ),
    Drill(
        "slow",
        f"Statements that would take {SLOW:g} s on every connection are ended by the server after "
        f"POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g} s, and the others are served again.",
        "SQLAlchemy's own pool with its defaults: no statement is bounded, and one waits 30 s for a connection",
        9,
        _slow,
        needs_own_server=False,
    ),
    Drill(
        "leak",
        f"Connections that are borrowed and never returned are named, with the line, and freed after "
        f"POOL_WATCH_AFTER={WATCH_AFTER:g} s.",
        "SQLAlchemy's own pool with its defaults: nobody watches",
        7,
        _leak,
        needs_own_server=False,
    ),
)
