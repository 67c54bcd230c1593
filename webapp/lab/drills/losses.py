"""Connections that end while nobody looks: closed by the server, killed, gone with a restart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webapp.lab.drill import Drill, Stage, alone
from webapp.lab.recovery import Check, errors_at_most, errors_end_within, full_rate_within, no_errors

THREADS, EVERY = 4, 0.04
"""A hundred units a second, four at the same moment: as many connections as the pool may have."""
BEFORE, AFTER = 1.5, 2.0
WAIT_TIMEOUT = 2
SILENCE = 3.2
KILLS, BETWEEN_KILLS = 20, 0.1
"""Times, and seconds."""
FEW = 2
"""Who meets two kills within one statement is told so."""


def _wait_timeout(stage: Stage) -> Sequence[Check]:
    # By the session, so that the server's other clients keep theirs; the pool asks the session, too.
    sign = "&" if "?" in stage.ground.address() else "?"
    address = f"{stage.ground.address()}{sign}init_command=SET SESSION wait_timeout={WAIT_TIMEOUT}"
    with stage.pool(THREADS, address) as pool, stage.load(pool.mixed, THREADS, EVERY, together=True) as load:
        time.sleep(BEFORE)
        load.pause()
        stage.fault("nobody comes")
        time.sleep(SILENCE)
        stage.over("the first come")
        load.resume()
        time.sleep(AFTER)
    course = stage.measured()
    return [no_errors(course), full_rate_within(course, 0.5)]


def _kills(stage: Stage) -> Sequence[Check]:
    with stage.pool(THREADS) as pool, stage.load(pool.mixed, THREADS, EVERY, together=True):
        time.sleep(BEFORE)
        stage.fault("all are killed, again and again")
        for _ in range(KILLS):
            _kill(stage.ground.address(), pool.connections)
            time.sleep(BETWEEN_KILLS)
        stage.over("peace")
        time.sleep(AFTER)
    course = stage.measured()
    return [
        errors_at_most(course, FEW),
        errors_end_within(course, 0.2),
        full_rate_within(course, 0.5),
    ]


def _kill(address: str, ours: set[int]) -> None:
    """End the connections of the pool, and no other one of the same account."""
    with alone(address) as connection:
        alive = connection.execute(text("SELECT id FROM information_schema.processlist")).scalars()
        for number in ours.intersection(alive):
            # It may have gone by itself meanwhile.
            with suppress(DBAPIError):
                connection.execute(text(f"KILL {int(number)}"))


def _restart(stage: Stage) -> Sequence[Check]:
    server = stage.ground.server()
    with stage.pool(THREADS) as pool, stage.load(pool.mixed, THREADS, EVERY, together=True) as load:
        time.sleep(BEFORE)
        load.pause()
        stage.fault("restarted while nobody comes")
        server.stop()
        server.start()
        stage.over("the first come")
        load.resume()
        time.sleep(AFTER)
    course = stage.measured()
    return [no_errors(course), full_rate_within(course, 0.5)]


DRILLS = (
    Drill(
        "wait-timeout",
        "After a silence longer than the server's wait_timeout nobody meets a connection that the server has closed.",
        "SQLAlchemy's own pool with its defaults: no ping, no age limit",
        8,
        _wait_timeout,
        needs_own_server=False,
    ),
    Drill(
        "kills",
        "While all connections are killed ten times a second, reads and idempotent transactions succeed.",
        "SQLAlchemy's own pool with its defaults: nothing is asked again",
        7,
        _kills,
        needs_own_server=False,
    ),
    Drill(
        "restart",
        "A restart of the server in a quiet moment is not noticed by those who come next.",
        "SQLAlchemy's own pool with its defaults: no ping",
        10,
        _restart,
    ),
)
