"""The sweep: sizes in random order, repeated; first for throughput (closed loop), then for latency (open loop)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from webapp.lab.figures import Load, Measured, Setting
from webapp.lab.knee import knee
from webapp.lab.scaling import Interval, interval_of
from webapp.lab.sizing import candidates_of, usable

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
COMMON_LOAD = 0.75
"""Of the best throughput: the load at which all sizes' latencies are compared."""
OTHER_LOADS = (0.5, 0.9, 1.1, 1.25, 1.5)
MOST_TIMED = 5
SHORTEST, LONGEST = 1.0, 10.0
"""Seconds that a closed loop is measured."""
OPEN_IS_LONGER = 2.0
"""A p99 needs more operations than a mean."""
WARM_UP = 0.25
"""Of what is measured; discarded."""
FEWEST, FEWEST_SIZES = 3, 4


class Bench(Protocol):
    """What can be measured: the product, or a workload of statements."""

    @property
    def overhead(self) -> float:
        """Seconds that a run takes beside what is measured and its share of warm-up."""
        ...

    @property
    def settles(self) -> float:
        """Seconds of these that a run is warmed up for longer, whatever its length: what has just started is slow."""
        ...

    def measure(self, setting: Setting, load: Load) -> Measured:
        """Measure one run."""
        ...


@dataclass(frozen=True)
class Plan:
    """What is varied and how long it is measured."""

    base: Setting
    pools: tuple[int, ...]
    threads: tuple[int, ...] = ()
    """Tried once the pool is found; none: as `base` has them."""
    workers: tuple[int, ...] = ()
    compares_grouping: bool = False
    repetitions: int = 3
    seconds: float = 2.0
    within: float = 0.05
    seed: int = 1
    times_all: bool = False
    """Whether the latency of every size is measured, as slow as it may be."""

    @property
    def runs(self) -> tuple[int, int]:
        """How many closed and open loops there are at most."""
        settings = len(self.pools) + len(self.threads) + len(self.workers) + 2 * self.compares_grouping
        timed = len(self.pools) if self.times_all else min(MOST_TIMED, len(self.pools))
        return settings * self.repetitions, timed * self.repetitions + len(OTHER_LOADS)

    def lasts(self, overhead: float) -> float:
        """Return how many seconds it takes at most."""
        closed, opened = self.runs
        return closed * self.of_a_run(overhead) + opened * self.of_a_run(overhead, is_open=True)

    def of_a_run(self, overhead: float, *, is_open: bool = False) -> float:
        """Return how many seconds one run takes."""
        return self.seconds * (OPEN_IS_LONGER if is_open else 1.0) * (1 + WARM_UP) + overhead

    def fitted_to(self, minutes: float, overhead: float) -> Plan:
        """Return the plan with runs as long as the time allows; where that is too short, with fewer of them."""
        plan = self
        while True:
            closed, opened = plan.runs
            left = minutes * 60 - (closed + opened) * overhead
            seconds = left / (1 + WARM_UP) / (closed + opened * OPEN_IS_LONGER)
            if seconds >= SHORTEST or (plan.repetitions <= FEWEST and len(plan.pools) <= FEWEST_SIZES):
                return replace(plan, seconds=min(LONGEST, max(SHORTEST, seconds)))
            if plan.repetitions > FEWEST:
                plan = replace(plan, repetitions=plan.repetitions - 1)
            else:
                plan = replace(plan, pools=(*plan.pools[:-1:2], plan.pools[-1]))


def ladder(most: int) -> tuple[int, ...]:
    """Return the sizes to try up to and including `most`."""
    return (*(size for size in LADDER if size < most), most)


def beyond(threads: int) -> int:
    """Return the first size above so many threads: that it brings nothing more is to be seen, too."""
    return next((size for size in LADDER if size > threads), threads + 1)


@dataclass(frozen=True)
class Progress:
    """Where a sweep is."""

    said: str
    number: int
    of: int
    left: float
    """Seconds, as it looks now."""


@dataclass
class Sweep:
    """One sweep; `measured` holds every run that came to its end, in the order they were made."""

    bench: Bench
    plan: Plan
    tell: Callable[[Progress], None] = lambda _: None
    measured: list[Measured] = field(default_factory=list)
    is_complete: bool = False
    chosen: Setting | None = None
    """The workers and threads that were found best."""
    rate: float = 0.0
    """Operations a second at which latencies were compared."""
    _left: int = 0

    def run(self) -> None:
        """Measure all; Ctrl-C ends it and keeps what was measured."""
        self._left = sum(self.plan.runs)
        try:
            self._closed_loops()
            self._open_loops()
            self.is_complete = True
        except KeyboardInterrupt:
            self.is_complete = False

    def throughput(self, setting: Setting) -> Interval:
        """Return what a setting does in a closed loop, over its repetitions."""
        return interval_of([one.throughput for one in self.closed() if one.setting == setting])

    def closed(self) -> list[Measured]:
        """Return the closed loops."""
        return [one for one in self.measured if not one.load.is_open]

    def opened(self) -> list[Measured]:
        """Return the open loops."""
        return [one for one in self.measured if one.load.is_open]

    def _closed_loops(self) -> None:
        plan = self.plan
        self._repeat([replace(plan.base, pool=pool) for pool in plan.pools])
        chosen = self._smallest([replace(plan.base, pool=pool) for pool in plan.pools])
        chosen = self._best_of([replace(chosen, threads=n, pool=min(chosen.pool, n)) for n in plan.threads], chosen)
        chosen = self._best_of([replace(chosen, workers=n) for n in plan.workers], chosen)
        self.chosen = chosen
        if plan.compares_grouping:
            self._repeat([replace(chosen, is_grouped=False)])
        others = [replace(chosen, pool=pool) for pool in plan.pools]
        if chosen.threads != plan.base.threads or chosen.workers != plan.base.workers:
            # The pool was found with other workers; the sizes around it are looked at once more.
            near = [one for one in others if one.pool != chosen.pool][:MOST_TIMED]
            self._repeat(near)

    def _best_of(self, tried: Sequence[Setting], chosen: Setting) -> Setting:
        if not tried:
            return chosen
        self._repeat([one for one in tried if one != chosen])
        return self._smallest([*{*tried, chosen}])

    def _open_loops(self) -> None:
        settings = self._worth_timing()
        self.rate = COMMON_LOAD * max(self.throughput(one).value for one in settings)
        common = self._load(self.rate)
        self._left = len(settings) * self.plan.repetitions + len(OTHER_LOADS)
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, replace(common, seed=self.plan.seed + repetition))
        chosen = self.chosen or self.plan.base
        best = knee(usable(candidates_of(self.measured, chosen, self.rate), chosen), self.plan.within)
        for share in OTHER_LOADS:
            self._measure(replace(chosen, pool=best.size), self._load(self.rate / COMMON_LOAD * share))

    def _worth_timing(self) -> list[Setting]:
        chosen = self.chosen or self.plan.base
        like = [replace(chosen, pool=pool) for pool in sorted({*self.plan.pools, chosen.pool})]
        measured = {one.setting for one in self.closed()}
        there = [one for one in like if one in measured]
        if self.plan.times_all:
            return there
        best = max(self.throughput(one).value for one in there)
        worth = [one for one in there if self.throughput(one).value >= (1 - 2 * self.plan.within) * best]
        # The smallest are likeliest to be taken; the largest says whether more would be better.
        return worth if len(worth) <= MOST_TIMED else [*worth[: MOST_TIMED - 1], worth[-1]]

    def _smallest(self, settings: Sequence[Setting]) -> Setting:
        """Return the setting that needs fewest connections of those with nearly the best throughput."""
        best = max(self.throughput(one).value for one in settings)
        good = [one for one in settings if self.throughput(one).value >= (1 - self.plan.within) * best]
        return min(good, key=lambda one: (one.workers * one.pool, one.threads))

    def _repeat(self, settings: Sequence[Setting]) -> None:
        # Each repetition has all settings once, in an order of its own: what changes slowly meanwhile hits all alike.
        for repetition in range(self.plan.repetitions):
            for setting in self._shuffled(settings, repetition):
                self._measure(setting, self._load(None, seed=self.plan.seed + repetition))

    def _shuffled(self, settings: Sequence[Setting], repetition: int) -> Iterator[Setting]:
        draw = random.Random(f"{self.plan.seed} {repetition} {len(self.measured)}")
        yield from draw.sample(list(settings), len(settings))

    def _load(self, rate: float | None, seed: int | None = None) -> Load:
        seconds = self.plan.seconds * (OPEN_IS_LONGER if rate is not None else 1.0)
        warm_up = self.bench.settles + seconds * WARM_UP
        return Load(warm_up, seconds, rate, self.plan.seed if seed is None else seed)

    def _measure(self, setting: Setting, load: Load) -> None:
        began = time.monotonic()
        found = self.bench.measure(setting, load)
        self.measured.append(found)
        self._left = max(0, self._left - 1)
        took = time.monotonic() - began
        how = f"{load.rate:.0f} a second come" if load.rate is not None else "closed loop"
        said = f"{setting}, {how}: {found.throughput:.0f} a second, p99 {found.p99 * 1000:.0f} ms"
        # Open loops are still to come while closed ones are measured, and take longer.
        each = took if load.is_open else (took + self.plan.of_a_run(self.bench.overhead, is_open=True)) / 2
        done = len(self.measured)
        self.tell(Progress(said, done, done + self._left, self._left * each))
