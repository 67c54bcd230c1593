"""Load from processes of its own, so that the client's work is not done by the process that is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from webapp.lab.loadgen.player import PushPlan, Visit, run_visit

START_DELAY = 0.2
"""Seconds after which a push begins whose processes are there."""
POLL_INTERVAL = 0.01
LAG_INTERVAL = 0.1
PROGRESS_INTERVAL = 0.2
"""Seconds between two looks at how many are through."""
RESERVED_FILES = 200


@dataclass(frozen=True)
class ProcessResult:
    """What one process did: its visits, its processor seconds, and how late its loop was at worst (seconds)."""

    visits: list[Visit]
    cpu_seconds: float
    max_lag: float


class TooManyUsersError(Exception):
    """The system does not let this process open so many connections."""


def allow_open_files(users: int) -> None:
    """Raise the limit of open files as far as `users` need.

    Raises:
        TooManyUsersError: when the hard limit is lower.
    """
    wanted = users + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooManyUsersError(
            f"{users} users need {wanted} open files and this account may have {hard}: raise it (ulimit -Hn), "
            "or push with fewer users."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class PushStoppedError(Exception):
    """Ctrl-C has ended the push; `shares` are what had been done until then."""

    def __init__(self, results: list[ProcessResult]) -> None:
        """Keep what was done."""
        super().__init__("The push was stopped.")
        self.results = results


class LoadProcesses:
    """Processes that push; `pushers` starts them."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int, completed: Any, stopped: Any) -> None:
        """Use these processes; `through` counts who is through in all of them, `stopped` tells them to end."""
        self._pool = pool
        self._process_count = processes
        self._completed, self._stopped = completed, stopped

    def run(self, plan: PushPlan, users: int, on_progress: Callable[[int], None]) -> list[ProcessResult]:
        """Let `users` people visit, divided over the processes; `progress` is told how many are through.

        Raises:
            StoppedError: on Ctrl-C, with what had been done.
        """
        numbers = [range(first, users, self._process_count) for first in range(self._process_count)]
        running = [self._pool.submit(_run_visits, plan, own, users) for own in numbers]
        try:
            while wait(running, timeout=PROGRESS_INTERVAL).not_done:
                on_progress(self._completed.value)
            on_progress(users)
        except KeyboardInterrupt:
            self._stopped.value = 1
            raise PushStoppedError([done.result() for done in running]) from None
        return [done.result() for done in running]


@contextmanager
def start_load_processes(processes: int) -> Iterator[LoadProcesses]:
    """Start so many processes; a push that is planned inside of the block can begin at once."""
    context = multiprocessing.get_context("spawn")
    ready, through, stopped = (context.Value("q", 0) for _ in range(3))
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_init_process, initargs=(ready, through, stopped)
    ) as pool:
        there = [pool.submit(_wait_until_ready, processes) for _ in range(processes)]
        for one in there:
            one.result()
        yield LoadProcesses(pool, processes, through, stopped)


_ready_counters: list[Any] = []
_completed_counters: list[Any] = []
_stop_flags: list[Any] = []


def _init_process(ready: Any, completed: Any, stopped: Any) -> None:
    """Remember, in a process of the load, where all count together who is through, and where the end is told."""
    # Ctrl-C reaches all processes of a terminal; ours are told by their parent, and have something to hand over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _ready_counters.append(ready)
    _completed_counters.append(completed)
    _stop_flags.append(stopped)
    with ready.get_lock():
        ready.value += 1


def _wait_until_ready(processes: int) -> None:
    # Each process takes one of these tasks and keeps it until the others are there; so all of them are started.
    while any(ready.value < processes for ready in _ready_counters):
        time.sleep(POLL_INTERVAL)


def _run_visits(plan: PushPlan, numbers: Sequence[int], total: int) -> ProcessResult:
    allow_open_files(len(numbers))
    before = time.process_time()
    visits, lag = asyncio.run(_visit_all(plan, numbers, total))
    return ProcessResult(visits, time.process_time() - before, lag)


async def _visit_all(plan: PushPlan, numbers: Sequence[int], total: int) -> tuple[list[Visit], float]:
    visits = [asyncio.create_task(_count_visit(plan, number, total)) for number in numbers]
    watches = [asyncio.create_task(_measure_lag()), asyncio.create_task(_cancel_at_end(plan, visits))]
    # One that is cut off before it has begun has no visit to return.
    ended = await asyncio.gather(*visits, return_exceptions=True)
    for watch in watches:
        watch.cancel()
    if failed := [one for one in ended if isinstance(one, Exception)]:
        raise failed[0]
    return [one for one in ended if isinstance(one, Visit)], _max_lag[0]


async def _cancel_at_end(plan: PushPlan, visits: Sequence[asyncio.Task[Visit]]) -> None:
    # Another process tells, and it has no events of this loop.
    while time.monotonic() < plan.ends_at and not any(stopped.value for stopped in _stop_flags):  # noqa: ASYNC110
        await asyncio.sleep(PROGRESS_INTERVAL)
    for one in visits:
        one.cancel()


async def _count_visit(plan: PushPlan, number: int, total: int) -> Visit:
    ended = await run_visit(plan, number, total)
    for through in _completed_counters:
        with through.get_lock():
            through.value += 1
    return ended


_max_lag = [0.0]


async def _measure_lag() -> None:
    while True:
        meant = time.monotonic() + LAG_INTERVAL
        await asyncio.sleep(LAG_INTERVAL)
        _max_lag[0] = max(_max_lag[0], time.monotonic() - meant)
