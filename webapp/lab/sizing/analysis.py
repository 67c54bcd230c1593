"""From the runs of a sweep to what is recommended, and how sure that is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from webapp.lab.sizing.measurements import RunResult, Setting
from webapp.lab.sizing.recommendation import (
    THROUGHPUT_TOLERANCE,
    Bottlenecks,
    Candidate,
    ResourceUsage,
    find_bottlenecks,
    find_knee,
    littles_law_ratio,
    mean_busy_connections,
)
from webapp.lab.sizing.usl import TooFewSizesError, UslFit, estimate_interval, fit_usl

MAX_FAILED_SHARE = 0.01
"""Above this share of failures a p99 says nothing: the slowest are among those that failed."""

MIN_OPERATIONS_PER_CLIENT = 10
"""So many operations of each client make the rough edges of a run small."""


@dataclass(frozen=True)
class Recommendation:
    """What a sweep has found."""

    setting: Setting
    """Recommended."""
    knee: Candidate
    candidates: tuple[Candidate, ...]
    rate: float
    """Operations a second at which the latencies were compared; 0 when they were not."""
    busy_connections: float
    """Connections that are busy in the mean at that rate, of the whole fleet."""
    bottlenecks: Bottlenecks
    littles_law_ratios: tuple[float, ...]
    """Throughput × response time / what was inside, of every closed loop."""
    fit: UslFit | None
    """None with fewer than three sizes."""
    throughput_without_group_commit: float | None
    """Operations a second when each write commits alone; None when it was not tried."""


def collect_candidates(results: Sequence[RunResult], base: Setting, rate: float) -> list[Candidate]:
    """Return the pool sizes that were measured with these workers and threads."""
    own = [one for one in results if replace(one.setting, pool=base.pool) == base]
    found = []
    for size in sorted({one.setting.pool for one in own}):
        runs = [one for one in own if one.setting.pool == size]
        throughputs = [one.throughput for one in runs if not one.load.is_open]
        times = [one.p99 for one in runs if one.load.rate == rate and rate and _is_p99_valid(one)]
        if throughputs:
            p99 = estimate_interval(times) if times else None
            found.append(Candidate(size, estimate_interval(throughputs), p99))
    return found


def usable_candidates(candidates: Sequence[Candidate], setting: Setting) -> Sequence[Candidate]:
    """Return the candidates that the threads can use whole: each holds one connection, and more are never busy.

    Larger ones are measured to show that, and may come out better by chance. All, where only such were measured.
    """
    return [one for one in candidates if one.size <= setting.threads] or candidates


def recommend(
    results: Sequence[RunResult],
    chosen: Setting,
    rate: float,
    tolerance: float = THROUGHPUT_TOLERANCE,
    *,
    server_is_local: bool = True,
) -> Recommendation | None:
    """Return what is recommended; None when nothing was measured."""
    candidates = collect_candidates(results, chosen, rate)
    if not candidates:
        return None
    best = find_knee(usable_candidates(candidates, chosen), tolerance)
    setting = replace(chosen, pool=best.size)
    closed = [one for one in results if not one.load.is_open]
    full = [one for one in closed if one.setting == setting]
    largest = max(one.size for one in candidates)
    larger = min((one.size for one in candidates if one.size > best.size), default=0)
    beyond = [one for one in closed if one.setting == replace(setting, pool=larger)]
    alone = [one.throughput for one in closed if one.setting == replace(setting, is_grouped=False)]
    return Recommendation(
        setting=setting,
        knee=best,
        candidates=tuple(candidates),
        rate=rate,
        busy_connections=mean_busy_connections(rate or best.throughput.value, median(one.hold for one in full)),
        bottlenecks=find_bottlenecks(
            _median_usage(full),
            still_rises=best.size == largest,
            server_is_local=server_is_local,
            next_larger=_median_usage(beyond) if beyond else None,
        ),
        littles_law_ratios=tuple(
            littles_law_ratio(one.throughput, one.cycle_time, one.in_flight)
            for one in closed
            if one.done >= MIN_OPERATIONS_PER_CLIENT * one.in_flight
        ),
        fit=_fit_curve(closed, chosen),
        throughput_without_group_commit=estimate_interval(alone).value if alone else None,
    )


def _is_p99_valid(result: RunResult) -> bool:
    return result.done > 0 and result.failed <= MAX_FAILED_SHARE * (result.done + result.failed)


def _fit_curve(closed: Sequence[RunResult], chosen: Setting) -> UslFit | None:
    """Fit the law to the connections that can be at work at once: threads use no more than there are of them."""
    own = [one for one in closed if replace(one.setting, pool=chosen.pool) == chosen and one.throughput > 0]
    sizes = [min(one.setting.pool, one.setting.threads) * one.setting.workers for one in own]
    try:
        return fit_usl(sizes, [one.throughput for one in own])
    except TooFewSizesError:
        return None


def _median_usage(runs: Sequence[RunResult]) -> ResourceUsage:
    """Return the medians of what was seen in repeated runs."""
    first = runs[0].usage

    def middle(name: str) -> float | None:
        values = [value for one in runs if (value := getattr(one.usage, name)) is not None]
        return median(values) if values else None

    return replace(
        first,
        machine_cpu=middle("machine_cpu"),
        process_cpu=middle("process_cpu"),
        own_cpu=middle("own_cpu"),
        lock_share=middle("lock_share"),
        flush_share=middle("flush_share"),
        pool_share=middle("pool_share"),
    )
