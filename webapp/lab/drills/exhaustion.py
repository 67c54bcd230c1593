"""No connection to be had: others have them all, slow statements hold them, or nobody gives them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from poolproof.leaks.leak_detector import Violation
from webapp.lab.drills.framework import Drill, DrillRun, direct_connection
from webapp.lab.drills.pool_under_test import PoolUnderTest
from webapp.lab.drills.recovery import Check, full_rate_within, no_errors, wait_at_most

SIZE = 4
STOCK_MAX_CONNECTIONS = 15
"""What SQLAlchemy's own pool lends by default: 5 and 10 more."""
BASELINE_DURATION, RECOVERY_DURATION = 1.5, 2.5
MAX_CONNECTIONS = 20
"""max_connections while others take them."""
BURST_THREADS, BURST_INTERVAL, HOLD_DURATION = 9, 0.25, 0.03
"""Threads, all at the same moment; seconds."""
EXHAUSTED_DURATION = 2.0
SLOW_STATEMENT_DURATION = 6.0
STATEMENT_TIMEOUT = 1.0
THREADS, UNIT_INTERVAL = 4, 0.04
LEAK_THRESHOLD = 1.0


def _server_exhausted(run: DrillRun) -> Sequence[Check]:
    server = run.target.server()
    server.execute(f"SET GLOBAL max_connections = {MAX_CONNECTIONS}")
    try:
        with (
            run.create_pool(SIZE) as pool,
            run.run_load(pool.make_sleep_unit(HOLD_DURATION), BURST_THREADS, BURST_INTERVAL, simultaneous=True),
        ):
            time.sleep(BASELINE_DURATION)
            run.begin_fault("others take the rest")
            with _all_connections_taken(run):
                time.sleep(EXHAUSTED_DURATION)
            run.end_fault("others leave")
            time.sleep(RECOVERY_DURATION)
    finally:
        server.execute("SET GLOBAL max_connections = 60")
    course = run.require_history()
    return [no_errors(course), full_rate_within(course, 1.0)]


@contextmanager
def _all_connections_taken(run: DrillRun) -> Iterator[None]:
    """Open connections until the server refuses; whoever leaves one meanwhile finds it taken."""
    done = threading.Event()

    def take() -> None:
        with ExitStack() as taken:
            while not done.wait(0.005):
                with suppress(DBAPIError):
                    taken.enter_context(direct_connection(run.target.database_url()))

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    try:
        yield
    finally:
        done.set()
        taker.join()


def _slow_statements(run: DrillRun) -> Sequence[Check]:
    pooled = run.create_pool(SIZE, statement_timeout=STATEMENT_TIMEOUT, read_timeout=STATEMENT_TIMEOUT + 1)
    with pooled as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("slow statements on every connection")
        _run_on_all_connections(run, lambda: pool.make_sleep_unit(SLOW_STATEMENT_DURATION)(0, 0))
        time.sleep(SLOW_STATEMENT_DURATION + 1.0)
    course = run.require_history()
    return [wait_at_most(course, STATEMENT_TIMEOUT + 2.0), full_rate_within(course, STATEMENT_TIMEOUT + 1.5)]


def _leaked_connections(run: DrillRun) -> Sequence[Check]:
    forgotten: list[Any] = []
    with run.create_pool(SIZE, leak_threshold=LEAK_THRESHOLD) as pool:
        try:
            with run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
                time.sleep(BASELINE_DURATION)
                run.begin_fault("every connection borrowed, none returned")
                _run_on_all_connections(run, lambda: forgotten.append(pool.work.engine.connect()))
                time.sleep(LEAK_THRESHOLD + RECOVERY_DURATION)
        finally:
            # Without a watch they would be out for ever, and the waiting with them.
            for connection in forgotten:
                with suppress(Exception):
                    connection.close()
    course = run.require_history()
    return [_check_leaks_reported(pool, len(forgotten)), full_rate_within(course, LEAK_THRESHOLD + 1.5)]


def _run_on_all_connections(run: DrillRun, task: Any) -> None:
    """Do something once for each connection of the pool, all at the same time, in threads that then end."""

    def quietly() -> None:
        with suppress(Exception):
            task()

    for _ in range(SIZE if run.is_protected else STOCK_MAX_CONNECTIONS):
        threading.Thread(target=quietly, name="lab-fault", daemon=True).start()


def _check_leaks_reported(pool: PoolUnderTest, leaked: int) -> Check:
    events = (
        []
        if pool.leak_detector is None
        else [one for one in pool.leak_detector.detected if one.violation is Violation.ORPHANED]
    )
    said = f"{len(events)} of {leaked} were" + (f": {events[0].sentence}" if events else "")
    return Check("each leaked connection is named", said, 0 < leaked <= len(events))


DRILLS = (
    Drill(
        "others",
        "When others have taken all connections that the server had left, ours that are open serve everybody.",
        "SQLAlchemy's own pool with its defaults: what is above five is opened and closed for each use",
        7,
        _server_exhausted,
    ),
    Drill(
        "slow",
        f"Statements that would take {SLOW_STATEMENT_DURATION:g} s on every connection are ended by the server after "
        f"POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g} s, and the others are served again.",
        "SQLAlchemy's own pool with its defaults: no statement is bounded, and one waits 30 s for a connection",
        9,
        _slow_statements,
        needs_own_server=False,
    ),
    Drill(
        "leak",
        f"Connections that are borrowed and never returned are named, with the line, and freed after "
        f"POOL_LEAK_THRESHOLD={LEAK_THRESHOLD:g} s.",
        "SQLAlchemy's own pool with its defaults: nobody watches",
        7,
        _leaked_connections,
        needs_own_server=False,
    ),
)
