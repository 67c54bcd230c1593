"""A sweep measures sizes repeatedly in random order: throughput first (closed loop), then latency (open loop)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.sizing.analysis import collect_candidates, usable_candidates
from poolproof.lab.sizing.measurements import RunResult, Setting
from poolproof.lab.sizing.recommendation import find_knee
from poolproof.lab.sizing.usl import Interval, estimate_interval

CANDIDATE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
COMPARISON_LOAD = 0.75
"""Share of the best throughput at which the latencies of all sizes are compared."""
OTHER_LOADS = (0.5, 0.9, 1.1, 1.25, 1.5)
MAX_TIMED_SIZES = 5
MIN_DURATION, MAX_DURATION = 1.0, 10.0
"""Seconds for which a closed loop is measured."""
OPEN_LOOP_FACTOR = 2.0
"""An open loop is measured for longer: a p99 needs more operations than a mean."""
WARM_UP_SHARE = 0.25
"""Share of the measured time that is added before it and discarded."""
MIN_REPETITIONS, MIN_SIZES = 3, 4


class Bench(Protocol):
    """What a sweep measures: the service, or a workload of statements."""

    @property
    def overhead(self) -> float:
        """Seconds that a run takes beside the measured time and its share of warm-up."""
        ...

    @property
    def extra_warm_up(self) -> float:
        """Seconds of the overhead by which each warm-up is longer: a service that has just started is slow."""
        ...

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Measure one run."""
        ...


@dataclass(frozen=True)
class SweepPlan:
    """What is varied, and for how long each setting is measured."""

    base: Setting
    pools: tuple[int, ...]
    threads: tuple[int, ...] = ()
    """Numbers of threads to try once the pool size is found; none: only that of `base`."""
    workers: tuple[int, ...] = ()
    """The same for workers."""
    compare_group_commit: bool = False
    repetitions: int = 3
    seconds: float = 2.0
    tolerance: float = 0.05
    seed: int = 1
    time_all_sizes: bool = False
    """Measure the latency of every size, also of those with a low throughput."""

    @property
    def run_counts(self) -> tuple[int, int]:
        """Largest possible numbers of closed and of open loops."""
        settings = len(self.pools) + len(self.threads) + len(self.workers) + 2 * self.compare_group_commit
        timed = len(self.pools) if self.time_all_sizes else min(MAX_TIMED_SIZES, len(self.pools))
        return settings * self.repetitions, timed * self.repetitions + len(OTHER_LOADS)

    def total_seconds(self, overhead: float) -> float:
        """Return how many seconds the sweep takes at most."""
        closed_loops, open_loops = self.run_counts
        return closed_loops * self.run_seconds(overhead) + open_loops * self.run_seconds(overhead, is_open=True)

    def run_seconds(self, overhead: float, *, is_open: bool = False) -> float:
        """Return how many seconds one run takes."""
        return self.seconds * (OPEN_LOOP_FACTOR if is_open else 1.0) * (1 + WARM_UP_SHARE) + overhead

    def fit_to(self, minutes: float, overhead: float) -> SweepPlan:
        """Return the plan with runs as long as the time allows; where they would be too short, with fewer of them."""
        plan = self
        while True:
            closed_loops, open_loops = plan.run_counts
            seconds_left = minutes * 60 - (closed_loops + open_loops) * overhead
            seconds = seconds_left / (1 + WARM_UP_SHARE) / (closed_loops + open_loops * OPEN_LOOP_FACTOR)
            if seconds >= MIN_DURATION or (plan.repetitions <= MIN_REPETITIONS and len(plan.pools) <= MIN_SIZES):
                return replace(plan, seconds=min(MAX_DURATION, max(MIN_DURATION, seconds)))
            if plan.repetitions > MIN_REPETITIONS:
                plan = replace(plan, repetitions=plan.repetitions - 1)
            else:
                plan = replace(plan, pools=(*plan.pools[:-1:2], plan.pools[-1]))


def sizes_up_to(max_size: int) -> tuple[int, ...]:
    """Return the sizes to try up to and including `max_size`."""
    return (*(size for size in CANDIDATE_SIZES if size < max_size), max_size)


def next_size_above(threads: int) -> int:
    """Return the first size above the number of threads: the sweep shows that it gains nothing."""
    return next((size for size in CANDIDATE_SIZES if size > threads), threads + 1)


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is."""

    message: str
    number: int
    total: int
    remaining: float
    """Estimated seconds."""


@dataclass
class Sweep:
    """One sweep; `results` has every run that was completed, in the order of measurement."""

    bench: Bench
    plan: SweepPlan
    on_progress: Callable[[SweepProgress], None] = lambda _: None
    results: list[RunResult] = field(default_factory=list)
    is_complete: bool = False
    chosen: Setting | None = None
    """The setting with the best workers and threads; its pool is the smallest with nearly the best throughput."""
    rate: float = 0.0
    """Operations a second at which the latencies were compared."""
    _remaining_runs: int = 0

    def run(self) -> None:
        """Measure all; Ctrl-C ends it and keeps what was measured."""
        self._remaining_runs = sum(self.plan.run_counts)
        try:
            self._run_closed_loops()
            self._run_open_loops()
            self.is_complete = True
        except KeyboardInterrupt:
            self.is_complete = False

    def throughput(self, setting: Setting) -> Interval:
        """Return the throughput of a setting in closed loops, over its repetitions."""
        return estimate_interval([run.throughput for run in self.closed_loops() if run.setting == setting])

    def closed_loops(self) -> list[RunResult]:
        """Return the closed loops."""
        return [run for run in self.results if not run.load.is_open]

    def open_loops(self) -> list[RunResult]:
        """Return the open loops."""
        return [run for run in self.results if run.load.is_open]

    def _run_closed_loops(self) -> None:
        plan = self.plan
        settings = [replace(plan.base, pool=pool) for pool in plan.pools]
        self._repeat(settings)
        chosen = self._smallest_near_best(settings)
        chosen = self._choose_best([replace(chosen, threads=n, pool=min(chosen.pool, n)) for n in plan.threads], chosen)
        chosen = self._choose_best([replace(chosen, workers=n) for n in plan.workers], chosen)
        self.chosen = chosen
        if plan.compare_group_commit:
            self._repeat([replace(chosen, is_grouped=False)])
        if chosen.threads != plan.base.threads or chosen.workers != plan.base.workers:
            # The pool size was found with other workers or threads: measure other sizes with the chosen ones.
            others = [replace(chosen, pool=pool) for pool in plan.pools if pool != chosen.pool]
            self._repeat(others[:MAX_TIMED_SIZES])

    def _choose_best(self, settings: Sequence[Setting], chosen: Setting) -> Setting:
        if not settings:
            return chosen
        self._repeat([setting for setting in settings if setting != chosen])
        return self._smallest_near_best([*{*settings, chosen}])

    def _run_open_loops(self) -> None:
        settings = self._settings_to_time()
        self.rate = COMPARISON_LOAD * max(self.throughput(setting).value for setting in settings)
        profile = self._make_profile(self.rate)
        self._remaining_runs = len(settings) * self.plan.repetitions + len(OTHER_LOADS)
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, replace(profile, seed=self.plan.seed + repetition))
        chosen = self.chosen or self.plan.base
        candidates = usable_candidates(collect_candidates(self.results, chosen, self.rate), chosen)
        knee = find_knee(candidates, self.plan.tolerance)
        for share in OTHER_LOADS:
            self._measure(replace(chosen, pool=knee.size), self._make_profile(self.rate / COMPARISON_LOAD * share))

    def _settings_to_time(self) -> list[Setting]:
        chosen = self.chosen or self.plan.base
        settings = [replace(chosen, pool=pool) for pool in sorted({*self.plan.pools, chosen.pool})]
        measured = {run.setting for run in self.closed_loops()}
        available = [setting for setting in settings if setting in measured]
        if self.plan.time_all_sizes:
            return available
        best = max(self.throughput(setting).value for setting in available)
        near_best = [
            setting for setting in available if self.throughput(setting).value >= (1 - 2 * self.plan.tolerance) * best
        ]
        # The smallest are likeliest to be recommended; the largest shows whether more would be better.
        return near_best if len(near_best) <= MAX_TIMED_SIZES else [*near_best[: MAX_TIMED_SIZES - 1], near_best[-1]]

    def _smallest_near_best(self, settings: Sequence[Setting]) -> Setting:
        """Return, of the settings with nearly the best throughput, the one that needs the fewest connections."""
        best = max(self.throughput(setting).value for setting in settings)
        near_best = [
            setting for setting in settings if self.throughput(setting).value >= (1 - self.plan.tolerance) * best
        ]
        return min(near_best, key=lambda setting: (setting.workers * setting.pool, setting.threads))

    def _repeat(self, settings: Sequence[Setting]) -> None:
        # Each repetition measures all settings once, in a new order: slow changes of the machine affect all alike.
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, self._make_profile(None, seed=self.plan.seed + repetition))

    def _shuffled(self, settings: Sequence[Setting], repetition: int) -> Iterator[Setting]:
        rng = random.Random(f"{self.plan.seed} {repetition} {len(self.results)}")
        yield from rng.sample(list(settings), len(settings))

    def _make_profile(self, rate: float | None, seed: int | None = None) -> LoadProfile:
        seconds = self.plan.seconds * (OPEN_LOOP_FACTOR if rate is not None else 1.0)
        warm_up = self.bench.extra_warm_up + seconds * WARM_UP_SHARE
        return LoadProfile(warm_up, seconds, rate, self.plan.seed if seed is None else seed)

    def _measure(self, setting: Setting, load: LoadProfile) -> None:
        started_at = time.monotonic()
        result = self.bench.measure(setting, load)
        self.results.append(result)
        self._remaining_runs = max(0, self._remaining_runs - 1)
        seconds = time.monotonic() - started_at
        load_text = f"{load.rate:.0f} requests a second" if load.rate is not None else "closed loop"
        message = f"{setting}, {load_text}: {result.throughput:.0f} a second, p99 {result.p99 * 1000:.0f} ms"
        # While closed loops are measured, the remaining runs include open ones, which take longer.
        seconds_per_run = (
            seconds if load.is_open else (seconds + self.plan.run_seconds(self.bench.overhead, is_open=True)) / 2
        )
        done = len(self.results)
        self.on_progress(
            SweepProgress(message, done, done + self._remaining_runs, self._remaining_runs * seconds_per_run)
        )
