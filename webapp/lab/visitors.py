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

from webapp.lab.figures import Load, Timed
from webapp.lab.load import allow_open_files
from webapp.lab.push import WELL, Plan, Visit, visit

WELL_ENDED = {str(status) for status in WELL}
WORKS_OFF = 3.0
"""So many seconds after its end a visit that still lasts is given up."""
MOST_AT_ONCE = 4000


@dataclass(frozen=True)
class Crowd:
    """The visitors of one process."""

    plan: Plan
    load: Load
    clients: int
    """In a closed loop."""
    visits_per_second: float
    """In an open one."""


class Visitors:
    """Processes that visit, kept for a whole sweep."""

    def __init__(self, processes: int) -> None:
        """Start them."""
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)
        # All of them have to be there before the first run is timed.
        for ready in [self._pool.submit(time.sleep, 0.2) for _ in range(processes)]:
            ready.result()

    def begin(self, crowd: Crowd) -> list[Future[tuple[list[Timed], float]]]:
        """Let all processes visit, each with its share."""
        shares = range(self.processes)
        clients = [crowd.clients // self.processes + (n < crowd.clients % self.processes) for n in shares]
        rate = crowd.visits_per_second / self.processes
        return [
            self._pool.submit(_visit_all, replace(crowd, clients=clients[n], visits_per_second=rate), n) for n in shares
        ]

    def close(self) -> None:
        """End them."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    # Ctrl-C goes to the whole group: the sweep decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_open_files(MOST_AT_ONCE)


def _visit_all(crowd: Crowd, process: int) -> tuple[list[Timed], float]:
    """Return every request, and the share of a processor that this process used."""
    used, began = time.process_time(), time.monotonic()
    timed = asyncio.run(_open(crowd, process) if crowd.load.is_open else _closed(crowd))
    return timed, (time.process_time() - used) / (time.monotonic() - began)


async def _closed(crowd: Crowd) -> list[Timed]:
    ends_at = crowd.plan.starts_at + crowd.load.warm_up + crowd.load.seconds

    async def client(number: int) -> list[Timed]:
        await asyncio.sleep(max(0.0, crowd.plan.starts_at - time.monotonic()))
        timed: list[Timed] = []
        while time.monotonic() < ends_at:
            began = time.monotonic()
            timed += of_visit(await visit(replace(crowd.plan, starts_at=began), number, 1), began)
        return timed

    return _flat(await asyncio.gather(*(client(0) for _ in range(crowd.clients))))


async def _open(crowd: Crowd, process: int) -> list[Timed]:
    plan, load = crowd.plan, crowd.load
    draw = random.Random(load.seed * 100 + process)
    until = load.warm_up + load.seconds
    arrivals, at = [], draw.expovariate(crowd.visits_per_second)
    while at < until:
        arrivals.append(plan.starts_at + at)
        at += draw.expovariate(crowd.visits_per_second)
    ends_at = plan.starts_at + until + WORKS_OFF
    tasks = [_one(visit(replace(plan, starts_at=moment), 0, 1), moment, ends_at) for moment in arrivals]
    return _flat(await asyncio.gather(*tasks))


async def _one(visiting: Coroutine[Any, Any, Visit], meant: float, ends_at: float) -> list[Timed]:
    try:
        async with asyncio.timeout(max(0.1, ends_at - time.monotonic())):
            return of_visit(await visiting, meant)
    except TimeoutError:
        return [Timed(meant, ends_at - meant, is_well=False)]


def of_visit(one: Visit, began: float) -> list[Timed]:
    """Return a visit's requests; each was meant to begin when the one before it had ended."""
    timed, at = [], began
    for sample in one.samples:
        timed.append(Timed(at, sample.seconds, is_well=sample.ended in WELL_ENDED))
        at += sample.seconds
    return timed


def _flat(lists: Sequence[list[Timed]]) -> list[Timed]:
    return [one for some in lists for one in some]
