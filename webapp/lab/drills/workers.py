"""Drills of the service's own processes, with players over HTTP: a worker that is killed, and a reload."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from webapp.lab.drills.framework import Drill, DrillNotApplicableError, DrillRun
from webapp.lab.drills.paced_load import PacedLoad
from webapp.lab.drills.players import Players
from webapp.lab.drills.recovery import Check, errors_at_most, full_rate_within, gap_at_most, no_errors
from webapp.lab.services.poolproof_service import PoolproofService

THREADS, REQUEST_INTERVAL = 4, 0.08
"""Fifty requests a second, each on a connection of its own."""
BASELINE_DURATION, RECOVERY_DURATION = 2.0, 3.0
WORKER_START_TIMEOUT = 30.0
"""Seconds for a new worker to load the application on a busy machine."""
MAX_GAP = 0.5
"""Seconds; a new worker needs longer to load the application."""


@contextmanager
def _service_under_load(run: DrillRun, workers: int) -> Iterator[tuple[PoolproofService, PacedLoad]]:
    """Run the service with so many workers while players send requests."""
    settings = {
        "POOLPROOF_WORKERS": str(workers),
        "POOLPROOF_THREADS": "4",
        "POOLPROOF_CONSOLE_BIND": "off",
        # The drill's few players send more requests than people can.
        "POOLPROOF_PLAYER_RATE_LIMIT": "0",
    }
    service = PoolproofService(run.target.database_url(), run.target.make_folder("service"), **settings)
    try:
        with run.run_load(Players(service, THREADS).play, THREADS, REQUEST_INTERVAL) as load:
            yield service, load
    finally:
        service.stop()


def _worker_crash(run: DrillRun) -> Sequence[Check]:
    with _service_under_load(run, workers=2 if run.is_protected else 1) as (service, load):
        time.sleep(BASELINE_DURATION)
        run.begin_fault("a worker is killed")
        try:
            service.kill_worker()
        except OSError as error:
            raise DrillNotApplicableError("this system does not say which workers there are") from error
        load.wait_until_served(WORKER_START_TIMEOUT)
        time.sleep(RECOVERY_DURATION)
    history = run.require_history()
    return [
        errors_at_most(history, THREADS, "only what it was serving fails"),
        gap_at_most(history, MAX_GAP),
        full_rate_within(history, 1.0),
    ]


def _reload(run: DrillRun) -> Sequence[Check]:
    with _service_under_load(run, workers=2) as (service, load):
        time.sleep(BASELINE_DURATION)
        old_workers = set(service.workers())
        if run.is_protected:
            run.begin_fault("reload")
            service.reload()
            _wait_until_replaced(service, old_workers)
        else:
            run.begin_fault("stop and start")
            service.stop()
            service.start()
        load.wait_until_served(WORKER_START_TIMEOUT)
        run.end_fault("the new workers serve")
        time.sleep(RECOVERY_DURATION)
        replaced = not old_workers.intersection(service.workers())
    history = run.require_history()
    replaced_check = Check("every worker is replaced", "all are" if replaced else "some are not", replaced)
    return [no_errors(history), replaced_check, full_rate_within(history, 1.0)]


def _wait_until_replaced(service: PoolproofService, old_workers: set[int]) -> None:
    deadline = time.monotonic() + WORKER_START_TIMEOUT
    while old_workers.intersection(service.workers()) and time.monotonic() < deadline:
        time.sleep(0.02)


DRILLS = (
    Drill(
        "worker-crash",
        "A worker that is killed costs only the requests that it was serving; the other workers continue.",
        "a single worker, POOLPROOF_WORKERS=1: no other serves while a new one loads the application",
        12,
        _worker_crash,
    ),
    Drill(
        "reload",
        "A reload (HUP) fails no request: the socket stays open, and requests wait while new workers load.",
        "the service is stopped and started instead: meanwhile no process listens",
        17,
        _reload,
    ),
)
