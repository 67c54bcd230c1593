"""Processes that visit an application: users one visit after the other, or visits that begin at random moments."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import resource
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from poolproof.lab.loadgen.load_profile import LoadProfile, poisson_arrivals
from poolproof.lab.scenario.address import Address
from poolproof.lab.scenario.description import MAX_USERS, Scenario, Visit
from poolproof.lab.scenario.visitor import RequestSample, Visitor

START_DELAY = 0.2
POLL_INTERVAL = 0.2
DRAIN_TIMEOUT = 10.0
"""Seconds after the last visit may begin at which those that are still under way are cut off."""
RESERVED_FILES = 200


@dataclass(frozen=True)
class LoadRun:
    """What the processes do together."""

    scenario: Scenario
    address: Address
    profile: LoadProfile
    users: int
    """At once in a closed loop."""
    ramp: float = 0.0
    drain: float = DRAIN_TIMEOUT
    verify: bool = True
    """Whether the certificate of the server is checked."""


@dataclass(frozen=True)
class LoadResult:
    """What was measured."""

    samples: tuple[RequestSample, ...]
    starts_at: float
    """On the monotonic clock."""
    client_cpu: float
    """Share of a processor that the busiest process of the load used."""
    is_complete: bool = True


class LoadProcesses:
    """The processes, started once for many runs."""

    def __init__(self, processes: int) -> None:
        """Start them."""
        self._count = processes
        context = multiprocessing.get_context("spawn")
        self._stopped = context.Value("b", 0)
        self._executor = ProcessPoolExecutor(
            processes, mp_context=context, initializer=_init_process, initargs=(self._stopped,)
        )
        for started in [self._executor.submit(time.sleep, 0.1) for _ in range(processes)]:
            started.result()

    def start(self, load: LoadRun) -> tuple[float, list[Future[tuple[list[RequestSample], float]]]]:
        """Begin a run; return when it begins, and what the processes will have measured."""
        starts_at = time.monotonic() + START_DELAY
        shares = [(load, number, self._count, starts_at) for number in range(self._count)]
        return starts_at, [self._executor.submit(_run_share, *share) for share in shares]

    def run(self, load: LoadRun, on_progress: Callable[[float], None] = lambda _: None) -> LoadResult:
        """Run to the end; Ctrl-C ends it early and keeps what was measured. `on_progress` gets the seconds left."""
        starts_at, running = self.start(load)
        ends_at = starts_at + load.profile.warm_up + load.profile.seconds
        is_complete = True
        try:
            while wait(running, timeout=POLL_INTERVAL).not_done:
                on_progress(ends_at - time.monotonic())
        except KeyboardInterrupt:
            self._stopped.value = 1
            is_complete = False
        return collect(running, starts_at, is_complete=is_complete)

    def close(self) -> None:
        """End them."""
        self._stopped.value = 1
        self._executor.shutdown(wait=True, cancel_futures=True)


def collect(
    running: Sequence[Future[tuple[list[RequestSample], float]]], starts_at: float, *, is_complete: bool = True
) -> LoadResult:
    """Wait for the processes, and return what they have measured together."""
    results = [done.result() for done in running]
    samples = tuple(sample for own, _ in results for sample in own)
    return LoadResult(samples, starts_at, max(cpu for _, cpu in results), is_complete)


_stop_flags: list[Any] = []


def _init_process(stopped: Any) -> None:
    # Ctrl-C reaches all processes of a terminal; the command's own process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stop_flags.append(stopped)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_USERS + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _run_share(load: LoadRun, number: int, processes: int, starts_at: float) -> tuple[list[RequestSample], float]:
    """Return the samples of this process, and the share of a processor that it used."""
    cpu_before, before = time.process_time(), time.monotonic()
    samples: list[RequestSample] = []
    asyncio.run(_Share(load, number, processes, starts_at, samples).run())
    return samples, (time.process_time() - cpu_before) / max(1e-9, time.monotonic() - before)


class _Share:
    """The part of a load that one process has."""

    def __init__(
        self, load: LoadRun, number: int, processes: int, starts_at: float, samples: list[RequestSample]
    ) -> None:
        self._load, self._number, self._processes = load, number, processes
        self._starts_at, self._samples = starts_at, samples
        self._ends_at = starts_at + load.profile.warm_up + load.profile.seconds
        self._visits = load.scenario.visit
        self._weights = [visit.weight for visit in self._visits]

    async def run(self) -> None:
        """Make all visits of this process; those that do not end are cut off."""
        tasks = [asyncio.create_task(run) for run in self._runs()]
        if tasks:
            cutter = asyncio.create_task(self._cut_off(tasks))
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            cutter.cancel()
            if errors := [outcome for outcome in outcomes if isinstance(outcome, Exception)]:
                raise errors[0]

    def _runs(self) -> list[Coroutine[Any, Any, None]]:
        profile = self._load.profile
        if profile.rate is None:
            return [self._be_user(user) for user in range(self._number, self._load.users, self._processes)]
        rng = random.Random(profile.seed * 100 + self._number)
        seconds = profile.warm_up + profile.seconds
        arrivals = poisson_arrivals(rng, profile.rate / self._processes, seconds, self._starts_at)
        return [self._visit_once(start, rng.getrandbits(32)) for start in arrivals]

    async def _be_user(self, user: int) -> None:
        rng = random.Random(self._load.profile.seed * 10_000 + user)
        begins_at = self._starts_at + self._load.ramp * user / self._load.users
        await asyncio.sleep(max(0.0, begins_at - time.monotonic()))
        visitor = self._visitor()
        try:
            while time.monotonic() < self._ends_at:
                failures = len(self._samples)
                await visitor.visit(self._choose(rng), rng, time.monotonic(), self._samples)
                if not self._samples[failures:][-1].is_right:
                    # A server that refuses connections is not asked again as fast as this process can.
                    await asyncio.sleep(POLL_INTERVAL)
        finally:
            visitor.close()

    async def _visit_once(self, start: float, seed: int) -> None:
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        visitor, rng = self._visitor(), random.Random(seed)
        try:
            await visitor.visit(self._choose(rng), rng, start, self._samples)
        finally:
            visitor.close()

    def _visitor(self) -> Visitor:
        return Visitor(self._load.scenario, self._load.address, verify=self._load.verify)

    def _choose(self, rng: random.Random) -> Visit:
        return rng.choices(self._visits, self._weights)[0]

    async def _cut_off(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        # The flag is set in another process, which cannot set an event of this loop.
        deadline = self._ends_at + self._load.drain
        while time.monotonic() < deadline and not any(stopped.value for stopped in _stop_flags):  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL)
        for task in tasks:
            task.cancel()
