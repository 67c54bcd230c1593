"""A peer that says nothing any more: a frozen server, and a firewall that has forgotten connections."""

from __future__ import annotations

import time
from collections.abc import Sequence

from webapp.lab.drill import Drill, Stage, address_of
from webapp.lab.proxy import Proxy
from webapp.lab.recovery import Check, errors_end_within, full_rate_within, no_errors, nobody_waits_longer

THREADS, EVERY = 4, 0.04
BEFORE, AFTER = 1.5, 2.2
FROZEN = 6.0
QUIET = 1.0
"""Seconds; longer than a connection may lie idle and be lent without a ping."""
READ_TIMEOUT, STATEMENT_TIMEOUT = 2.0, 1.0
"""Shorter than by default, as the drill is."""
PATIENCE = READ_TIMEOUT + 2.0
"""An answer that does not come, or a connect that fails after a ping did."""
PINGED = 2.5
"""Half a second for the ping, and a new connection; on a busy machine."""


def _frozen(stage: Stage) -> Sequence[Check]:
    server = stage.ground.server()
    pooled = stage.pool(THREADS, read_timeout=READ_TIMEOUT, statement_timeout=STATEMENT_TIMEOUT)
    with pooled as pool, stage.load(pool.mixed, THREADS, EVERY, together=True):
        time.sleep(BEFORE)
        stage.fault("frozen")
        server.pause()
        try:
            time.sleep(FROZEN)
        finally:
            server.resume()
        stage.over("goes on")
        time.sleep(AFTER)
    course = stage.measured()
    return [nobody_waits_longer(course, PATIENCE), errors_end_within(course, 1.0), full_rate_within(course, 1.5)]


def _mute(stage: Stage) -> Sequence[Check]:
    server = stage.ground.server()
    proxy = Proxy(server.port)
    try:
        with stage.pool(THREADS, address_of(server, proxy.port)) as pool:
            with stage.load(pool.mixed, THREADS, EVERY, together=True) as load:
                time.sleep(BEFORE)
                load.pause()
                stage.fault("forgotten")
                proxy.forget()
                time.sleep(QUIET)
                stage.over("the first come")
                load.resume()
                time.sleep(AFTER)
            # What waits without a bound is let go of, or it would wait for ever.
            proxy.close()
    finally:
        proxy.close()
    course = stage.measured()
    return [no_errors(course), nobody_waits_longer(course, PINGED), full_rate_within(course, 1.5)]


DRILLS = (
    Drill(
        "frozen",
        f"A server that hangs for {FROZEN:g} s costs nobody more than {PATIENCE:g} s, and nothing after it goes on "
        f"(POOL_READ_TIMEOUT={READ_TIMEOUT:g}, POOL_STATEMENT_TIMEOUT={STATEMENT_TIMEOUT:g}).",
        "SQLAlchemy's own pool with its defaults: no wait for the server is bounded",
        11,
        _frozen,
    ),
    Drill(
        "mute",
        "Idle connections that a firewall has forgotten without a word cost a ping, and no error.",
        "SQLAlchemy's own pool with its defaults: no ping, no bound to waiting for an answer",
        7,
        _mute,
    ),
)
