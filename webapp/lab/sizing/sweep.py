"""The sweep: sizes in random order, repeated; first for throughput (closed loop), then for latency (open loop)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from webapp.lab.sizing.analysis import collect_candidates, usable_candidates
from webapp.lab.sizing.measurements import LoadProfile, RunResult, Setting
from webapp.lab.sizing.recommendation import find_knee
from webapp.lab.sizing.usl import Interval, estimate_interval

CANDIDATE_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
COMPARISON_LOAD = 0.75
"""Of the best throughput: the load at which all sizes' latencies are compared."""
OTHER_LOADS = (0.5, 0.9, 1.1, 1.25, 1.5)
MAX_TIMED_SIZES = 5
MIN_DURATION, MAX_DURATION = 1.0, 10.0
"""Seconds that a closed loop is measured."""
OPEN_LOOP_FACTOR = 2.0
"""A p99 needs more operations than a mean."""
WARM_UP_SHARE = 0.25
"""Of what is measured; discarded."""
MIN_REPETITIONS, MIN_SIZES = 3, 4


class Bench(Protocol):
    """What can be measured: the product, or a workload of statements."""

    @property
    def overhead(self) -> float:
        """Seconds that a run takes beside what is measured and its share of warm-up."""
        ...

    @property
    def extra_warm_up(self) -> float:
        """Seconds of these that a run is warmed up for longer, whatever its length: what has just started is slow."""
        ...

    def measure(self, setting: Setting, load: LoadProfile) -> RunResult:
        """Measure one run."""
        ...


@dataclass(frozen=True)
class SweepPlan:
    """What is varied and how long it is measured."""

    base: Setting
    pools: tuple[int, ...]
    threads: tuple[int, ...] = ()
    """Tried once the pool is found; none: as `base` has them."""
    workers: tuple[int, ...] = ()
    compare_group_commit: bool = False
    repetitions: int = 3
    seconds: float = 2.0
    tolerance: float = 0.05
    seed: int = 1
    time_all_sizes: bool = False
    """Whether the latency of every size is measured, as slow as it may be."""

    @property
    def run_counts(self) -> tuple[int, int]:
        """How many closed and open loops there are at most."""
        settings = len(self.pools) + len(self.threads) + len(self.workers) + 2 * self.compare_group_commit
        timed = len(self.pools) if self.time_all_sizes else min(MAX_TIMED_SIZES, len(self.pools))
        return settings * self.repetitions, timed * self.repetitions + len(OTHER_LOADS)

    def total_seconds(self, overhead: float) -> float:
        """Return how many seconds it takes at most."""
        closed, opened = self.run_counts
        return closed * self.run_seconds(overhead) + opened * self.run_seconds(overhead, is_open=True)

    def run_seconds(self, overhead: float, *, is_open: bool = False) -> float:
        """Return how many seconds one run takes."""
        return self.seconds * (OPEN_LOOP_FACTOR if is_open else 1.0) * (1 + WARM_UP_SHARE) + overhead

    def fit_to(self, minutes: float, overhead: float) -> SweepPlan:
        """Return the plan with runs as long as the time allows; where that is too short, with fewer of them."""
        plan = self
        while True:
            closed, opened = plan.run_counts
            left = minutes * 60 - (closed + opened) * overhead
            seconds = left / (1 + WARM_UP_SHARE) / (closed + opened * OPEN_LOOP_FACTOR)
            if seconds >= MIN_DURATION or (plan.repetitions <= MIN_REPETITIONS and len(plan.pools) <= MIN_SIZES):
                return replace(plan, seconds=min(MAX_DURATION, max(MIN_DURATION, seconds)))
            if plan.repetitions > MIN_REPETITIONS:
                plan = replace(plan, repetitions=plan.repetitions - 1)
            else:
                plan = replace(plan, pools=(*plan.pools[:-1:2], plan.pools[-1]))


def sizes_up_to(max_size: int) -> tuple[int, ...]:
    """Return the sizes to try up to and including `most`."""
    return (*(size for size in CANDIDATE_SIZES if size < max_size), max_size)


def next_size_above(threads: int) -> int:
    """Return the first size above so many threads: that it brings nothing more is to be seen, too."""
    return next((size for size in CANDIDATE_SIZES if size > threads), threads + 1)


@dataclass(frozen=True)
class SweepProgress:
    """Where a sweep is."""

    message: str
    number: int
    total: int
    remaining: float
    """Seconds, as it looks now."""


@dataclass
class Sweep:
    """One sweep; `measured` holds every run that came to its end, in the order they were made."""

    bench: Bench
    plan: SweepPlan
    on_progress: Callable[[SweepProgress], None] = lambda _: None
    results: list[RunResult] = field(default_factory=list)
    is_complete: bool = False
    chosen: Setting | None = None
    """The workers and threads that were found best."""
    rate: float = 0.0
    """Operations a second at which latencies were compared."""
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
        """Return what a setting does in a closed loop, over its repetitions."""
        return estimate_interval([one.throughput for one in self.closed_loops() if one.setting == setting])

    def closed_loops(self) -> list[RunResult]:
        """Return the closed loops."""
        return [one for one in self.results if not one.load.is_open]

    def open_loops(self) -> list[RunResult]:
        """Return the open loops."""
        return [one for one in self.results if one.load.is_open]

    def _run_closed_loops(self) -> None:
        plan = self.plan
        self._repeat([replace(plan.base, pool=pool) for pool in plan.pools])
        chosen = self._smallest_near_best([replace(plan.base, pool=pool) for pool in plan.pools])
        chosen = self._choose_best([replace(chosen, threads=n, pool=min(chosen.pool, n)) for n in plan.threads], chosen)
        chosen = self._choose_best([replace(chosen, workers=n) for n in plan.workers], chosen)
        self.chosen = chosen
        if plan.compare_group_commit:
            self._repeat([replace(chosen, is_grouped=False)])
        others = [replace(chosen, pool=pool) for pool in plan.pools]
        if chosen.threads != plan.base.threads or chosen.workers != plan.base.workers:
            # The pool was found with other workers; the sizes around it are looked at once more.
            near = [one for one in others if one.pool != chosen.pool][:MAX_TIMED_SIZES]
            self._repeat(near)

    def _choose_best(self, tried: Sequence[Setting], chosen: Setting) -> Setting:
        if not tried:
            return chosen
        self._repeat([one for one in tried if one != chosen])
        return self._smallest_near_best([*{*tried, chosen}])

    def _run_open_loops(self) -> None:
        settings = self._settings_to_time()
        self.rate = COMPARISON_LOAD * max(self.throughput(one).value for one in settings)
        common = self._make_profile(self.rate)
        self._remaining_runs = len(settings) * self.plan.repetitions + len(OTHER_LOADS)
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, replace(common, seed=self.plan.seed + repetition))
        chosen = self.chosen or self.plan.base
        best = find_knee(
            usable_candidates(collect_candidates(self.results, chosen, self.rate), chosen), self.plan.tolerance
        )
        for share in OTHER_LOADS:
            self._measure(replace(chosen, pool=best.size), self._make_profile(self.rate / COMPARISON_LOAD * share))

    def _settings_to_time(self) -> list[Setting]:
        chosen = self.chosen or self.plan.base
        like = [replace(chosen, pool=pool) for pool in sorted({*self.plan.pools, chosen.pool})]
        measured = {one.setting for one in self.closed_loops()}
        there = [one for one in like if one in measured]
        if self.plan.time_all_sizes:
            return there
        best = max(self.throughput(one).value for one in there)
        worth = [one for one in there if self.throughput(one).value >= (1 - 2 * self.plan.tolerance) * best]
        # The smallest are likeliest to be taken; the largest says whether more would be better.
        return worth if len(worth) <= MAX_TIMED_SIZES else [*worth[: MAX_TIMED_SIZES - 1], worth[-1]]

    def _smallest_near_best(self, settings: Sequence[Setting]) -> Setting:
        """Return the setting that needs fewest connections of those with nearly the best throughput."""
        best = max(self.throughput(one).value for one in settings)
        good = [one for one in settings if self.throughput(one).value >= (1 - self.plan.tolerance) * best]
        return min(good, key=lambda one: (one.workers * one.pool, one.threads))

    def _repeat(self, settings: Sequence[Setting]) -> None:
        # Each repetition has all settings once, in an order of its own: what changes slowly meanwhile hits all alike.
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, self._make_profile(None, seed=self.plan.seed + repetition))

    def _shuffled(self, settings: Sequence[Setting], repetition: int) -> Iterator[Setting]:
        draw = random.Random(f"{self.plan.seed} {repetition} {len(self.results)}")
        yield from draw.sample(list(settings), len(settings))

    def _make_profile(self, rate: float | None, seed: int | None = None) -> LoadProfile:
        seconds = self.plan.seconds * (OPEN_LOOP_FACTOR if rate is not None else 1.0)
        warm_up = self.bench.extra_warm_up + seconds * WARM_UP_SHARE
        return LoadProfile(warm_up, seconds, rate, self.plan.seed if seed is None else seed)

    def _measure(self, setting: Setting, load: LoadProfile) -> None:
        began = time.monotonic()
        found = self.bench.measure(setting, load)
        self.results.append(found)
        self._remaining_runs = max(0, self._remaining_runs - 1)
        took = time.monotonic() - began
        how = f"{load.rate:.0f} a second come" if load.rate is not None else "closed loop"
        said = f"{setting}, {how}: {found.throughput:.0f} a second, p99 {found.p99 * 1000:.0f} ms"
        # Open loops are still to come while closed ones are measured, and take longer.
        each = took if load.is_open else (took + self.plan.run_seconds(self.bench.overhead, is_open=True)) / 2
        done = len(self.results)
        self.on_progress(SweepProgress(said, done, done + self._remaining_runs, self._remaining_runs * each))
