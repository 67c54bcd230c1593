"""Drills without a free connection: other clients have them all, slow statements hold them, or they are leaked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from poolproof.leaks.leak_detector import Violation
from webapp.lab.drills.framework import Drill, DrillRun, direct_connection
from webapp.lab.drills.pool_under_test import PoolUnderTest
from webapp.lab.drills.recovery import Check, full_rate_within, no_errors, wait_at_most

SIZE = 4
STOCK_MAX_CONNECTIONS = 15
"""The connections of SQLAlchemy's own pool by default: 5, and 10 of overflow."""
BASELINE_DURATION, RECOVERY_DURATION = 1.5, 2.5
MAX_CONNECTIONS = 20
"""max_connections while other clients take them."""
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
            run.begin_fault("other clients take the rest")
            with _all_connections_taken(run):
                time.sleep(EXHAUSTED_DURATION)
            run.end_fault("other clients leave")
            time.sleep(RECOVERY_DURATION)
    finally:
        server.execute("SET GLOBAL max_connections = 60")
    history = run.require_history()
    return [no_errors(history), full_rate_within(history, 1.0)]


@contextmanager
def _all_connections_taken(run: DrillRun) -> Iterator[None]:
    """Open connections whenever the server accepts one, so that each that is closed meanwhile is taken at once."""
    done = threading.Event()

    def open_connections() -> None:
        with ExitStack() as connections:
            while not done.wait(0.005):
                with suppress(DBAPIError):
                    connections.enter_context(direct_connection(run.target.database_url()))

    thread = threading.Thread(target=open_connections, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _slow_statements(run: DrillRun) -> Sequence[Check]:
    pooled = run.create_pool(SIZE, statement_timeout=STATEMENT_TIMEOUT, read_timeout=STATEMENT_TIMEOUT + 1)
    with pooled as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("slow statements on every connection")
        _run_on_all_connections(run, lambda: pool.make_sleep_unit(SLOW_STATEMENT_DURATION)(0, 0))
        time.sleep(SLOW_STATEMENT_DURATION + 1.0)
    history = run.require_history()
    return [wait_at_most(history, STATEMENT_TIMEOUT + 2.0), full_rate_within(history, STATEMENT_TIMEOUT + 1.5)]


def _leaked_connections(run: DrillRun) -> Sequence[Check]:
    leaked: list[Any] = []
    with run.create_pool(SIZE, leak_threshold=LEAK_THRESHOLD) as pool:
        try:
            with run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
                time.sleep(BASELINE_DURATION)
                run.begin_fault("every connection checked out, none returned")
                _run_on_all_connections(run, lambda: leaked.append(pool.work.engine.connect()))
                time.sleep(LEAK_THRESHOLD + RECOVERY_DURATION)
        finally:
            # Without a leak detector they would never be returned, and the threads would wait for ever.
            for connection in leaked:
                with suppress(Exception):
                    connection.close()
    history = run.require_history()
    return [_check_leaks_reported(pool, len(leaked)), full_rate_within(history, LEAK_THRESHOLD + 1.5)]


def _run_on_all_connections(run: DrillRun, task: Callable[[], Any]) -> None:
    """Run a task once for each connection of the pool, all at the same time, in threads that then end."""

    def run_task() -> None:
        with suppress(Exception):
            task()

    for _ in range(SIZE if run.is_protected else STOCK_MAX_CONNECTIONS):
        threading.Thread(target=run_task, name="lab-fault", daemon=True).start()


def _check_leaks_reported(pool: PoolUnderTest, leaked: int) -> Check:
    detected = [] if pool.leak_detector is None else pool.leak_detector.detected
    orphaned = [violation for violation in detected if violation.violation is Violation.ORPHANED]
    observed = f"{len(orphaned)} of {leaked} were" + (f": {orphaned[0].sentence}" if orphaned else "")
    return Check("each leaked connection is named", observed, 0 < leaked <= len(orphaned))


DRILLS = (
    Drill(
        "others",
        "When other clients have taken all connections that the server had left, our open ones serve every unit.",
        "SQLAlchemy's own pool with its defaults: connections above five are opened and closed for each use",
        7,
        _server_exhausted,
    ),
    Drill(
        "slow",
        f"Statements that would take {SLOW_STATEMENT_DURATION:g} s on every connection are ended by the server after "
        f"POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g} s, and other units are served again.",
        "SQLAlchemy's own pool with its defaults: no statement is bounded, and one waits 30 s for a connection",
        9,
        _slow_statements,
        needs_own_server=False,
    ),
    Drill(
        "leak",
        f"Connections that are checked out and never returned are named, with the line, and freed after "
        f"POOL_LEAK_THRESHOLD={LEAK_THRESHOLD:g} s.",
        "SQLAlchemy's own pool with its defaults: there is no leak detector",
        7,
        _leaked_connections,
        needs_own_server=False,
    ),
)
