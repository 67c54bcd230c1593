"""Drills of lost connections: closed by the server, killed, ended by a restart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webapp.lab.drills.framework import Drill, DrillRun, direct_connection
from webapp.lab.drills.recovery import Check, errors_at_most, errors_end_within, full_rate_within, no_errors

THREADS, UNIT_INTERVAL = 4, 0.04
"""A hundred units a second, four at the same moment: as many connections as the pool may have."""
BASELINE_DURATION, RECOVERY_DURATION = 1.5, 2.0
WAIT_TIMEOUT = 2
IDLE_DURATION = 3.2
KILL_COUNT, KILL_INTERVAL = 20, 0.1
"""Number, and seconds between two."""
MAX_ERRORS = 2
"""A unit that is killed twice within one statement fails."""


def _wait_timeout(run: DrillRun) -> Sequence[Check]:
    # Set for the session: other clients of the server keep their value, and the pool reads that of the session.
    sign = "&" if "?" in run.target.database_url() else "?"
    url = f"{run.target.database_url()}{sign}init_command=SET SESSION wait_timeout={WAIT_TIMEOUT}"
    with (
        run.create_pool(THREADS, url) as pool,
        run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True) as load,
    ):
        time.sleep(BASELINE_DURATION)
        load.pause()
        run.begin_fault("no load")
        time.sleep(IDLE_DURATION)
        run.end_fault("load again")
        load.resume()
        time.sleep(RECOVERY_DURATION)
    history = run.require_history()
    return [no_errors(history), full_rate_within(history, 0.5)]


def _repeated_kills(run: DrillRun) -> Sequence[Check]:
    with run.create_pool(THREADS) as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("all are killed repeatedly")
        for _ in range(KILL_COUNT):
            _kill_connections(run.target.database_url(), pool.connection_ids)
            time.sleep(KILL_INTERVAL)
        run.end_fault("last kill")
        time.sleep(RECOVERY_DURATION)
    history = run.require_history()
    return [
        errors_at_most(history, MAX_ERRORS),
        errors_end_within(history, 0.2),
        full_rate_within(history, 0.5),
    ]


def _kill_connections(database_url: str, connection_ids: set[int]) -> None:
    """End the connections of the pool, and no other one of the same account."""
    with direct_connection(database_url) as connection:
        alive = connection.execute(text("SELECT id FROM information_schema.processlist")).scalars()
        for number in connection_ids.intersection(alive):
            # The connection may have ended meanwhile.
            with suppress(DBAPIError):
                connection.execute(text(f"KILL {int(number)}"))


def _server_restart(run: DrillRun) -> Sequence[Check]:
    server = run.target.server()
    with (
        run.create_pool(THREADS) as pool,
        run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True) as load,
    ):
        time.sleep(BASELINE_DURATION)
        load.pause()
        run.begin_fault("restarted without load")
        server.stop()
        server.start()
        run.end_fault("load again")
        load.resume()
        time.sleep(RECOVERY_DURATION)
    history = run.require_history()
    return [no_errors(history), full_rate_within(history, 0.5)]


DRILLS = (
    Drill(
        "wait-timeout",
        "After a pause longer than the server's wait_timeout no unit gets a connection that the server has closed.",
        "SQLAlchemy's own pool with its defaults: no ping, no age limit",
        8,
        _wait_timeout,
        needs_own_server=False,
    ),
    Drill(
        "kills",
        "While all connections are killed ten times a second, reads and idempotent transactions succeed.",
        "SQLAlchemy's own pool with its defaults: nothing is retried",
        7,
        _repeated_kills,
        needs_own_server=False,
    ),
    Drill(
        "restart",
        "A restart of the server while it is idle does not make any later unit fail.",
        "SQLAlchemy's own pool with its defaults: no ping",
        10,
        _server_restart,
    ),
)
