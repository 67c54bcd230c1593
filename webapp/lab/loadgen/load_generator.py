"""Load from processes of its own, so that the client's work is not done by the process that is measured.

`LoadProcesses` make one push: every player visits once. `VisitProcesses` serve a whole sweep: clients visit one after
the other (closed loop), or visits begin at random moments at a rate of their own (open loop).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import resource
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from poolproof.lab.loadgen.http_client import HttpClient
from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation, poisson_arrivals
from webapp.lab.loadgen.browser import Browser
from webapp.lab.loadgen.player import OK_RESULTS, PushPlan, Visit, connections_per_user, run_visit

START_DELAY = 0.2
"""Seconds between the plan of a push and its first arrival; the processes are running by then."""
POLL_INTERVAL = 0.01
LAG_INTERVAL = 0.1
PROGRESS_INTERVAL = 0.2
"""Seconds between two readings of how many players are done."""
RESERVED_FILES = 200
DRAIN_TIMEOUT = 3.0
"""Seconds after the end of an open loop at which a visit that is still under way is cancelled and counts as failed."""
MAX_OPEN_CONNECTIONS = 4000


@dataclass(frozen=True)
class ProcessResult:
    """What one process did: its visits, its processor seconds, and the largest lag of its event loop (seconds)."""

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
    """Ctrl-C has ended the push; `results` are what had been done until then."""

    def __init__(self, results: list[ProcessResult]) -> None:
        """Keep what was done."""
        super().__init__("The push was stopped.")
        self.results = results


class LoadProcesses:
    """Processes that make one push; `start_load_processes` starts them."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int, completed: Any, stopped: Any) -> None:
        """Use these processes and their shared values: the count of players that are done, and the flag to stop."""
        self._pool = pool
        self._process_count = processes
        self._completed, self._stopped = completed, stopped

    def run(self, plan: PushPlan, users: int, on_progress: Callable[[int], None]) -> list[ProcessResult]:
        """Run `users` visits, divided over the processes; `on_progress` gets the number of those that are done.

        Raises:
            PushStoppedError: on Ctrl-C, with what had been done.
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
    ready, completed, stopped = (context.Value("q", 0) for _ in range(3))
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_init_push_process, initargs=(ready, completed, stopped)
    ) as pool:
        for started in [pool.submit(_wait_until_ready, processes) for _ in range(processes)]:
            started.result()
        yield LoadProcesses(pool, processes, completed, stopped)


_ready_counters: list[Any] = []
_completed_counters: list[Any] = []
_stop_flags: list[Any] = []


def _init_push_process(ready: Any, completed: Any, stopped: Any) -> None:
    """Keep the values that all processes of the push share, and count this one as ready."""
    # Ctrl-C reaches all processes of a terminal; these end by the flag, because they have results to return.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _ready_counters.append(ready)
    _completed_counters.append(completed)
    _stop_flags.append(stopped)
    with ready.get_lock():
        ready.value += 1


def _wait_until_ready(processes: int) -> None:
    # Each process keeps one of these tasks until the others are ready; so all of them are started.
    while any(ready.value < processes for ready in _ready_counters):
        time.sleep(POLL_INTERVAL)


def _run_visits(plan: PushPlan, numbers: Sequence[int], total: int) -> ProcessResult:
    allow_open_files(len(numbers) * connections_per_user(plan.browsers))
    before = time.process_time()
    visits, lag = asyncio.run(_visit_all(plan, numbers, total))
    return ProcessResult(visits, time.process_time() - before, lag)


async def _visit_all(plan: PushPlan, numbers: Sequence[int], total: int) -> tuple[list[Visit], float]:
    left_open: list[HttpClient | Browser] = []
    visits = [asyncio.create_task(_count_visit(plan, number, total, left_open)) for number in numbers]
    helpers = [asyncio.create_task(_measure_lag()), asyncio.create_task(_cancel_at_end(plan, visits))]
    # A task that is cancelled before it has begun has no visit to return.
    results = await asyncio.gather(*visits, return_exceptions=True)
    for helper in helpers:
        helper.cancel()
    for client in left_open:
        client.close()
    if errors := [result for result in results if isinstance(result, Exception)]:
        raise errors[0]
    return [result for result in results if isinstance(result, Visit)], _max_lag[0]


async def _cancel_at_end(plan: PushPlan, visits: Sequence[asyncio.Task[Visit]]) -> None:
    # The flag is set in another process, which cannot set an event of this loop.
    while time.monotonic() < plan.ends_at and not any(stopped.value for stopped in _stop_flags):  # noqa: ASYNC110
        await asyncio.sleep(PROGRESS_INTERVAL)
    for visit in visits:
        visit.cancel()


async def _count_visit(plan: PushPlan, number: int, total: int, left_open: list[HttpClient | Browser]) -> Visit:
    visit = await run_visit(plan, number, total, left_open)
    for completed in _completed_counters:
        with completed.get_lock():
            completed.value += 1
    return visit


_max_lag = [0.0]


async def _measure_lag() -> None:
    while True:
        expected = time.monotonic() + LAG_INTERVAL
        await asyncio.sleep(LAG_INTERVAL)
        _max_lag[0] = max(_max_lag[0], time.monotonic() - expected)


@dataclass(frozen=True)
class VisitLoad:
    """The load of one process."""

    plan: PushPlan
    profile: LoadProfile
    clients: int
    """In a closed loop."""
    visits_per_second: float
    """In an open loop."""


class VisitProcesses:
    """Processes that visit a service again and again, kept for a whole sweep."""

    def __init__(self, processes: int) -> None:
        """Start them."""
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_init_visit_process)
        # All of them must be running before the first run is timed.
        for started in [self._executor.submit(time.sleep, 0.2) for _ in range(processes)]:
            started.result()

    def start(self, visit_load: VisitLoad) -> list[Future[tuple[list[TimedOperation], float]]]:
        """Let all processes visit, each with its share."""
        shares = range(self.processes)
        clients = [visit_load.clients // self.processes + (n < visit_load.clients % self.processes) for n in shares]
        rate = visit_load.visits_per_second / self.processes
        return [
            self._executor.submit(_run_visit_load, replace(visit_load, clients=clients[n], visits_per_second=rate), n)
            for n in shares
        ]

    def close(self) -> None:
        """End them."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _init_visit_process() -> None:
    # Ctrl-C reaches all processes of a terminal; the sweep's own process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_open_files(MAX_OPEN_CONNECTIONS)


def _run_visit_load(visit_load: VisitLoad, process: int) -> tuple[list[TimedOperation], float]:
    """Return every request, and the share of a processor that this process used."""
    cpu_before, started_at = time.process_time(), time.monotonic()
    run = _run_open_loop(visit_load, process) if visit_load.profile.is_open else _run_closed_loop(visit_load)
    operations = asyncio.run(run)
    return operations, (time.process_time() - cpu_before) / (time.monotonic() - started_at)


async def _run_closed_loop(visit_load: VisitLoad) -> list[TimedOperation]:
    ends_at = visit_load.plan.starts_at + visit_load.profile.warm_up + visit_load.profile.seconds

    async def run_client() -> list[TimedOperation]:
        await asyncio.sleep(max(0.0, visit_load.plan.starts_at - time.monotonic()))
        operations: list[TimedOperation] = []
        while time.monotonic() < ends_at:
            started_at = time.monotonic()
            operations += time_requests(
                await run_visit(replace(visit_load.plan, starts_at=started_at), 0, 1), started_at
            )
        return operations

    return _flatten(await asyncio.gather(*(run_client() for _ in range(visit_load.clients))))


async def _run_open_loop(visit_load: VisitLoad, process: int) -> list[TimedOperation]:
    plan, profile = visit_load.plan, visit_load.profile
    rng = random.Random(profile.seed * 100 + process)
    seconds = profile.warm_up + profile.seconds
    arrivals = poisson_arrivals(rng, visit_load.visits_per_second, seconds, plan.starts_at)
    deadline = plan.starts_at + seconds + DRAIN_TIMEOUT
    runs = [_run_until(run_visit(replace(plan, starts_at=start), 0, 1), start, deadline) for start in arrivals]
    return _flatten(await asyncio.gather(*runs))


async def _run_until(visit: Coroutine[Any, Any, Visit], intended_start: float, deadline: float) -> list[TimedOperation]:
    try:
        async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
            return time_requests(await visit, intended_start)
    except TimeoutError:
        return [TimedOperation(intended_start, deadline - intended_start, succeeded=False)]


def time_requests(visit: Visit, started_at: float) -> list[TimedOperation]:
    """Return a visit's requests; each was meant to begin when the one before it had ended."""
    operations, start = [], started_at
    for sample in visit.samples:
        operations.append(TimedOperation(start, sample.seconds, succeeded=sample.result in OK_RESULTS))
        start += sample.seconds
    return operations


def _flatten(lists: Sequence[list[TimedOperation]]) -> list[TimedOperation]:
    return [operation for operations in lists for operation in operations]
