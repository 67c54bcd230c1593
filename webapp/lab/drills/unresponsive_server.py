"""A peer that says nothing any more: a frozen server, and a firewall that has forgotten connections."""

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
"""Seconds; longer than a connection may lie idle and be lent without a ping."""
READ_TIMEOUT, STATEMENT_TIMEOUT = 2.0, 1.0
"""Shorter than by default, as the drill is."""
MAX_FREEZE_WAIT = READ_TIMEOUT + 2.0
"""An answer that does not come, or a connect that fails after a ping did."""
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
        run.end_fault("goes on")
        time.sleep(RECOVERY_DURATION)
    course = run.require_history()
    return [wait_at_most(course, MAX_FREEZE_WAIT), errors_end_within(course, 1.0), full_rate_within(course, 1.5)]


def _dropped_by_firewall(run: DrillRun) -> Sequence[Check]:
    server = run.target.server()
    proxy = Proxy(server.port)
    try:
        with run.create_pool(THREADS, application_url(server, proxy.port)) as pool:
            with run.run_load(pool.read_or_write, THREADS, UNIT_INTERVAL, simultaneous=True) as load:
                time.sleep(BASELINE_DURATION)
                load.pause()
                run.begin_fault("forgotten")
                proxy.drop_traffic()
                time.sleep(IDLE_DURATION)
                run.end_fault("the first come")
                load.resume()
                time.sleep(RECOVERY_DURATION)
            # What waits without a bound is let go of, or it would wait for ever.
            proxy.close()
    finally:
        proxy.close()
    course = run.require_history()
    return [no_errors(course), wait_at_most(course, MAX_PING_WAIT), full_rate_within(course, 1.5)]


DRILLS = (
    Drill(
        "frozen",
        f"A server that hangs for {FREEZE_DURATION:g} s costs nobody more than {MAX_FREEZE_WAIT:g} s, and nothing after it goes on "
        f"(POOL_READ_TIMEOUT={READ_TIMEOUT:g}, POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g}).",
        "SQLAlchemy's own pool with its defaults: no wait for the server is bounded",
        11,
        _frozen_server,
    ),
    Drill(
        "mute",
        "Idle connections that a firewall has forgotten without a word cost a ping, and no error.",
        "SQLAlchemy's own pool with its defaults: no ping, no bound to waiting for an answer",
        7,
        _dropped_by_firewall,
    ),
)
