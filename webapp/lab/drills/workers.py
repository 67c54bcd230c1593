"""The service's own processes: a worker that is killed, and a reload, seen by players over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from webapp.lab.drill import CannotBeHeldError, Drill, Stage
from webapp.lab.drills.players import Players
from webapp.lab.recovery import Check, errors_at_most, full_rate_within, no_errors, silence_at_most
from webapp.lab.services.poolproof_service import Service
from webapp.lab.steady import Load

THREADS, EVERY = 4, 0.08
"""Fifty requests a second, each on a connection of its own."""
BEFORE, AFTER = 2.0, 3.0
LOADS_WITHIN = 30.0
"""A new worker's time to load the application, on a machine that is busy."""
SILENCE = 0.5
"""Seconds; a new worker needs longer to load the application."""


@contextmanager
def _played(stage: Stage, workers: int) -> Iterator[tuple[Service, Load]]:
    """Serve with so many workers, and let players play."""
    settings = {
        "POOLPROOF_WORKERS": str(workers),
        "POOLPROOF_THREADS": "4",
        "POOLPROOF_CONSOLE_BIND": "off",
        # A drill's few players do more than people can.
        "POOLPROOF_WRITES_PER_SECOND": "0",
    }
    service = Service(stage.ground.address(), stage.ground.folder("service"), **settings)
    try:
        with stage.load(Players(service, THREADS).play, THREADS, EVERY) as load:
            yield service, load
    finally:
        service.stop()


def _crash(stage: Stage) -> Sequence[Check]:
    with _played(stage, workers=2 if stage.is_protected else 1) as (service, load):
        time.sleep(BEFORE)
        stage.fault("a worker is killed")
        try:
            service.kill_a_worker()
        except OSError as error:
            raise CannotBeHeldError("this system does not say which workers there are") from error
        load.until_served(LOADS_WITHIN)
        time.sleep(AFTER)
    course = stage.measured()
    return [
        errors_at_most(course, THREADS, "only what it was serving fails"),
        silence_at_most(course, SILENCE),
        full_rate_within(course, 1.0),
    ]


def _reload(stage: Stage) -> Sequence[Check]:
    with _played(stage, workers=2) as (service, load):
        time.sleep(BEFORE)
        old = set(service.workers())
        if stage.is_protected:
            stage.fault("reload")
            service.reload()
            _until_replaced(service, old)
        else:
            stage.fault("stop and start")
            service.stop()
            service.start()
        load.until_served(LOADS_WITHIN)
        stage.over("the new workers serve")
        time.sleep(AFTER)
        replaced = not old.intersection(service.workers())
    course = stage.measured()
    renewed = Check("every worker is replaced", "all are" if replaced else "some are left", replaced)
    return [no_errors(course), renewed, full_rate_within(course, 1.0)]


def _until_replaced(service: Service, old: set[int]) -> None:
    deadline = time.monotonic() + LOADS_WITHIN
    while old.intersection(service.workers()) and time.monotonic() < deadline:
        time.sleep(0.02)


DRILLS = (
    Drill(
        "worker-crash",
        "A worker that is killed costs only the requests that it was serving; the others serve on.",
        "a single worker, POOLPROOF_WORKERS=1: nobody else is there while a new one loads the application",
        12,
        _crash,
    ),
    Drill(
        "reload",
        "A reload (HUP) fails no request: the door stays open, and who comes while new workers load waits for them.",
        "the service is stopped and started instead: meanwhile nobody is at the door",
        17,
        _reload,
    ),
)
