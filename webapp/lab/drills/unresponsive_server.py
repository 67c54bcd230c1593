"""Drills of a peer that does not respond: a frozen server, and a firewall that has dropped connections."""

from __future__ import annotations

import time
from collections.abc import Sequence

from webapp.lab.drills.framework import Drill, DrillRun, application_url
from webapp.lab.drills.recovery import Check, errors_end_within, full_rate_within, no_errors, wait_at_most
from webapp.lab.services.proxy import Proxy

THREADS, UNIT_INTERVAL = 4, 0.04
BASELINE_DURATION, RECOVERY_DURATION = 1.5, 2.2
FREEZE_DURATION = 6.0
IDLE_DURATION = 1.0
"""Seconds; longer than a connection may be idle and still be checked out without a ping."""
READ_TIMEOUT, STATEMENT_TIMEOUT = 2.0, 1.0
"""Seconds; shorter than by default, so that the drill is short."""
MAX_FREEZE_WAIT = READ_TIMEOUT + 2.0
"""A response that does not come, or a connect that fails after a ping has failed."""
MAX_PING_WAIT = 2.5
"""Half a second for the ping, and a new connection; on a busy machine."""


def _frozen_server(run: DrillRun) -> Sequence[Check]:
    server = run.target.server()
    pooled = run.create_pool(THREADS, read_timeout=READ_TIMEOUT, statement_timeout=STATEMENT_TIMEOUT)
    with pooled as pool, run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("frozen")
        server.pause()
        try:
            time.sleep(FREEZE_DURATION)
        finally:
            server.resume()
        run.end_fault("resumed")
        time.sleep(RECOVERY_DURATION)
    history = run.require_history()
    return [wait_at_most(history, MAX_FREEZE_WAIT), errors_end_within(history, 1.0), full_rate_within(history, 1.5)]


def _dropped_by_firewall(run: DrillRun) -> Sequence[Check]:
    server = run.target.server()
    proxy = Proxy(server.port)
    try:
        with run.create_pool(THREADS, application_url(server, proxy.port)) as pool:
            with run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True) as load:
                time.sleep(BASELINE_DURATION)
                load.pause()
                run.begin_fault("dropped")
                proxy.drop_traffic()
                time.sleep(IDLE_DURATION)
                run.end_fault("load again")
                load.resume()
                time.sleep(RECOVERY_DURATION)
            # Close the connections of units that wait without a time-out, or they would wait for ever.
            proxy.close()
    finally:
        proxy.close()
    history = run.require_history()
    return [no_errors(history), wait_at_most(history, MAX_PING_WAIT), full_rate_within(history, 1.5)]


DRILLS = (
    Drill(
        "frozen",
        f"A server that hangs for {FREEZE_DURATION:g} s costs no unit more than {MAX_FREEZE_WAIT:g} s, and nothing "
        f"after it resumes (POOL_READ_TIMEOUT={READ_TIMEOUT:g}, POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g}).",
        "SQLAlchemy's own pool with its defaults: waiting for the server has no time-out",
        11,
        _frozen_server,
    ),
    Drill(
        "mute",
        "Idle connections that a firewall has dropped silently cost a ping, and no error.",
        "SQLAlchemy's own pool with its defaults: no ping, no time-out for a response",
        7,
        _dropped_by_firewall,
    ),
)
