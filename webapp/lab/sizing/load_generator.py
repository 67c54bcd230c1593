"""The product's real mix, from processes of its own: whole visits, one after the other or as they come."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from webapp.lab.loadgen.load_generator import allow_open_files
from webapp.lab.loadgen.player import OK_STATUSES, PushPlan, Visit, run_visit
from webapp.lab.sizing.measurements import LoadProfile, TimedOperation

OK_RESULTS = {str(status) for status in OK_STATUSES}
DRAIN_TIMEOUT = 3.0
"""So many seconds after its end a visit that still lasts is given up."""
MAX_OPEN_CONNECTIONS = 4000


@dataclass(frozen=True)
class VisitLoad:
    """The visitors of one process."""

    plan: PushPlan
    profile: LoadProfile
    clients: int
    """In a closed loop."""
    visits_per_second: float
    """In an open one."""


class VisitProcesses:
    """Processes that visit, kept for a whole sweep."""

    def __init__(self, processes: int) -> None:
        """Start them."""
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_init_process)
        # All of them have to be there before the first run is timed.
        for ready in [self._executor.submit(time.sleep, 0.2) for _ in range(processes)]:
            ready.result()

    def start(self, visit_load: VisitLoad) -> list[Future[tuple[list[TimedOperation], float]]]:
        """Let all processes visit, each with its share."""
        shares = range(self.processes)
        clients = [visit_load.clients // self.processes + (n < visit_load.clients % self.processes) for n in shares]
        rate = visit_load.visits_per_second / self.processes
        return [
            self._executor.submit(_visit_all, replace(visit_load, clients=clients[n], visits_per_second=rate), n)
            for n in shares
        ]

    def close(self) -> None:
        """End them."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _init_process() -> None:
    # Ctrl-C goes to the whole group: the sweep decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_open_files(MAX_OPEN_CONNECTIONS)


def _visit_all(visit_load: VisitLoad, process: int) -> tuple[list[TimedOperation], float]:
    """Return every request, and the share of a processor that this process used."""
    used, began = time.process_time(), time.monotonic()
    timed = asyncio.run(
        _run_open_loop(visit_load, process) if visit_load.profile.is_open else _run_closed_loop(visit_load)
    )
    return timed, (time.process_time() - used) / (time.monotonic() - began)


async def _run_closed_loop(visit_load: VisitLoad) -> list[TimedOperation]:
    ends_at = visit_load.plan.starts_at + visit_load.profile.warm_up + visit_load.profile.seconds

    async def client(number: int) -> list[TimedOperation]:
        await asyncio.sleep(max(0.0, visit_load.plan.starts_at - time.monotonic()))
        timed: list[TimedOperation] = []
        while time.monotonic() < ends_at:
            began = time.monotonic()
            timed += time_requests(await run_visit(replace(visit_load.plan, starts_at=began), number, 1), began)
        return timed

    return _flatten(await asyncio.gather(*(client(0) for _ in range(visit_load.clients))))


async def _run_open_loop(visit_load: VisitLoad, process: int) -> list[TimedOperation]:
    plan, load = visit_load.plan, visit_load.profile
    draw = random.Random(load.seed * 100 + process)
    until = load.warm_up + load.seconds
    arrivals, at = [], draw.expovariate(visit_load.visits_per_second)
    while at < until:
        arrivals.append(plan.starts_at + at)
        at += draw.expovariate(visit_load.visits_per_second)
    ends_at = plan.starts_at + until + DRAIN_TIMEOUT
    tasks = [_run_until(run_visit(replace(plan, starts_at=moment), 0, 1), moment, ends_at) for moment in arrivals]
    return _flatten(await asyncio.gather(*tasks))


async def _run_until(
    visiting: Coroutine[Any, Any, Visit], intended_start: float, deadline: float
) -> list[TimedOperation]:
    try:
        async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
            return time_requests(await visiting, intended_start)
    except TimeoutError:
        return [TimedOperation(intended_start, deadline - intended_start, succeeded=False)]


def time_requests(visit: Visit, began: float) -> list[TimedOperation]:
    """Return a visit's requests; each was meant to begin when the one before it had ended."""
    timed, at = [], began
    for sample in visit.samples:
        timed.append(TimedOperation(at, sample.seconds, succeeded=sample.result in OK_RESULTS))
        at += sample.seconds
    return timed


def _flatten(lists: Sequence[list[TimedOperation]]) -> list[TimedOperation]:
    return [one for some in lists for one in some]
