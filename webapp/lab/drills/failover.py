"""Another server takes over: the one that everybody is connected to takes no writes any more."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from webapp.lab.drill import CannotBeHeldError, Drill, Stage, address_of
from webapp.lab.proxy import Proxy
from webapp.lab.recovery import Check, errors_end_within, full_rate_within

THREADS, EVERY = 4, 0.04
BEFORE, AFTER = 1.5, 2.5
AWAY = 1.0
"""Seconds in which the first server takes no writes and the address does not lead to the second one yet."""


def _read_only(stage: Stage) -> Sequence[Check]:
    more: list[Check] = []
    if stage.ground.is_own:
        _to_another_server(stage)
    else:
        more.append(_for_a_moment(stage))
    course = stage.measured()
    if not course.failed(since=course.fault):
        raise CannotBeHeldError("its account may write in spite of read_only; it needs one without CONNECTION_ADMIN")
    return [errors_end_within(course, 1.0), full_rate_within(course, 1.5), *more]


def _to_another_server(stage: Stage) -> None:
    first, second = stage.ground.server(), stage.ground.server(1)
    stage.ground.make_ready(address_of(second))
    proxy = Proxy(first.port)
    try:
        pooled = stage.pool(THREADS, address_of(first, proxy.port))
        with pooled as pool, stage.load(pool.mixed, THREADS, EVERY, together=True):
            time.sleep(BEFORE)
            stage.fault("read-only")
            first.execute("SET GLOBAL read_only = ON")
            time.sleep(AWAY)
            proxy.lead_to(second.port)
            stage.over("another server takes writes")
            time.sleep(AFTER)
    finally:
        first.execute("SET GLOBAL read_only = OFF")
        proxy.close()


def _for_a_moment(stage: Stage) -> Check:
    """On the operator's server, where there is no other: behind its address there might be one by now."""
    with stage.pool(THREADS) as pool, stage.load(pool.mixed, THREADS, EVERY, together=True):
        time.sleep(BEFORE)
        stage.fault("read-only")
        try:
            stage.ground.execute("SET GLOBAL read_only = ON")
        except DBAPIError as error:
            raise CannotBeHeldError("its account may not SET GLOBAL read_only (SYSTEM_VARIABLES_ADMIN)") from error
        old = set(pool.connections)
        try:
            time.sleep(AWAY)
        finally:
            stage.ground.execute("SET GLOBAL read_only = OFF")
        stage.over("takes writes again")
        time.sleep(AFTER)
        alive = {number for (number,) in stage.ground.execute("SELECT id FROM information_schema.processlist")}
    left = len(old & alive)
    return Check("no connection to the demoted server is kept", f"{left} of {len(old)} are", not left)


DRILLS = (
    Drill(
        "read-only",
        "When the server turns read-only because another one has taken over, writes reach that one within a second.",
        "SQLAlchemy's own pool with its defaults: a refused write is no reason to leave a server",
        9,
        _read_only,
        needs_own_server=False,
    ),
)
