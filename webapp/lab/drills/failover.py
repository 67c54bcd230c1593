"""Drill of a failover: the server of all connections becomes read-only, and another one takes over."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from webapp.lab.drills.framework import Drill, DrillNotApplicableError, DrillRun, application_url
from webapp.lab.drills.recovery import Check, errors_end_within, full_rate_within
from webapp.lab.services.proxy import Proxy

THREADS, UNIT_INTERVAL = 4, 0.04
BASELINE_DURATION, RECOVERY_DURATION = 1.5, 2.5
READ_ONLY_DURATION = 1.0
"""Seconds in which the first server is read-only and the address does not lead to the second one yet."""


def _read_only(run: DrillRun) -> Sequence[Check]:
    extra_checks: list[Check] = []
    if run.target.is_disposable:
        _fail_over(run)
    else:
        extra_checks.append(_toggle_read_only(run))
    history = run.require_history()
    if not history.failed(since=history.fault_started_at):
        raise DrillNotApplicableError(
            "its account may write in spite of read_only; it needs one without CONNECTION_ADMIN"
        )
    return [errors_end_within(history, 1.0), full_rate_within(history, 1.5), *extra_checks]


def _fail_over(run: DrillRun) -> None:
    first, second = run.target.server(), run.target.server(1)
    run.target.create_tables(application_url(second))
    proxy = Proxy(first.port)
    try:
        pooled = run.create_pool(THREADS, application_url(first, proxy.port))
        with pooled as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
            time.sleep(BASELINE_DURATION)
            run.begin_fault("read-only")
            first.execute("SET GLOBAL read_only = ON")
            time.sleep(READ_ONLY_DURATION)
            proxy.redirect(second.port)
            run.end_fault("another server accepts writes")
            time.sleep(RECOVERY_DURATION)
    finally:
        first.execute("SET GLOBAL read_only = OFF")
        proxy.close()


def _toggle_read_only(run: DrillRun) -> Check:
    """Make the operator's server read-only for a moment, instead of a failover to a second one."""
    with run.create_pool(THREADS) as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("read-only")
        try:
            run.target.execute("SET GLOBAL read_only = ON")
        except DBAPIError as error:
            raise DrillNotApplicableError(
                "its account may not SET GLOBAL read_only (SYSTEM_VARIABLES_ADMIN)"
            ) from error
        old = set(pool.connection_ids)
        try:
            time.sleep(READ_ONLY_DURATION)
        finally:
            run.target.execute("SET GLOBAL read_only = OFF")
        run.end_fault("accepts writes again")
        time.sleep(RECOVERY_DURATION)
        alive = {number for (number,) in run.target.execute("SELECT id FROM information_schema.processlist")}
    still_open = len(old & alive)
    return Check("no connection to the demoted server is kept", f"{still_open} of {len(old)} are", not still_open)


DRILLS = (
    Drill(
        "read-only",
        "When the server turns read-only because another one has taken over, writes reach the new one within a second.",
        "SQLAlchemy's own pool with its defaults: a refused write does not close the connection",
        9,
        _read_only,
        needs_own_server=False,
    ),
)
