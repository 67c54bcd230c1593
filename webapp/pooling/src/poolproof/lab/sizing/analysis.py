"""What the runs of a sweep recommend, with intervals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from poolproof.lab.sizing.bottleneck import Bottlenecks, ResourceUsage, find_bottlenecks
from poolproof.lab.sizing.measurements import RunResult, Setting
from poolproof.lab.sizing.recommendation import (
    THROUGHPUT_TOLERANCE,
    Candidate,
    find_knee,
    littles_law_ratio,
    mean_busy_connections,
)
from poolproof.lab.sizing.usl import TooFewSizesError, UslFit, estimate_interval, fit_usl

MAX_FAILED_SHARE = 0.01
"""Above this share of failures a p99 says nothing: the slowest operations are among those that failed."""
MIN_OPERATIONS_PER_CLIENT = 10
"""From so many operations of each client on, those at the edges of a run hardly matter."""


@dataclass(frozen=True)
class Recommendation:
    """What a sweep recommends, and why."""

    setting: Setting
    """The recommended one."""
    knee: Candidate
    candidates: tuple[Candidate, ...]
    rate: float
    """Operations a second at which the latencies were compared; 0 when they were not."""
    busy_connections: float
    """Mean number of busy connections of the whole fleet at that rate."""
    bottlenecks: Bottlenecks
    littles_law_ratios: tuple[float, ...]
    """Throughput × response time / operations under way, of every closed loop."""
    fit: UslFit | None
    """None with fewer than three sizes."""
    throughput_without_group_commit: float | None
    """Operations a second when each write commits alone; None when it was not tried."""


def collect_candidates(results: Sequence[RunResult], base: Setting, rate: float) -> list[Candidate]:
    """Return the pool sizes that were measured with these workers and threads; p99 at this rate of an open loop."""
    runs_by_size: dict[int, list[RunResult]] = {}
    for run in results:
        if replace(run.setting, pool=base.pool) == base:
            runs_by_size.setdefault(run.setting.pool, []).append(run)
    candidates = []
    for size, runs in sorted(runs_by_size.items()):
        throughputs = [run.throughput for run in runs if not run.load.is_open]
        p99s = [run.p99 for run in runs if rate and run.load.rate == rate and _is_p99_valid(run)]
        if throughputs:
            candidates.append(
                Candidate(size, estimate_interval(throughputs), estimate_interval(p99s) if p99s else None)
            )
    return candidates


def usable_candidates(candidates: Sequence[Candidate], setting: Setting) -> Sequence[Candidate]:
    """Return the candidates that are not larger than the number of threads; all, where only larger ones were measured.

    A thread holds one connection, so more are never busy. Larger sizes are measured to show that, and may come out
    better by chance.
    """
    return [candidate for candidate in candidates if candidate.size <= setting.threads] or candidates


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
    knee = find_knee(usable_candidates(candidates, chosen), tolerance)
    setting = replace(chosen, pool=knee.size)
    closed = [run for run in results if not run.load.is_open]
    at_knee = [run for run in closed if run.setting == setting]
    ungrouped = [run.throughput for run in closed if run.setting == replace(setting, is_grouped=False)]
    return Recommendation(
        setting=setting,
        knee=knee,
        candidates=tuple(candidates),
        rate=rate,
        busy_connections=mean_busy_connections(rate or knee.throughput.value, median(run.hold for run in at_knee)),
        bottlenecks=find_bottlenecks(
            _median_usage(at_knee),
            still_rises=knee.size == max(candidate.size for candidate in candidates),
            server_is_local=server_is_local,
            next_larger=_next_larger_usage(closed, setting, candidates),
        ),
        littles_law_ratios=_littles_law_ratios(closed),
        fit=_fit_curve(closed, chosen),
        throughput_without_group_commit=estimate_interval(ungrouped).value if ungrouped else None,
    )


def _next_larger_usage(
    closed: Sequence[RunResult], setting: Setting, candidates: Sequence[Candidate]
) -> ResourceUsage | None:
    larger = min((candidate.size for candidate in candidates if candidate.size > setting.pool), default=0)
    runs = [run for run in closed if run.setting == replace(setting, pool=larger)]
    return _median_usage(runs) if runs else None


def _littles_law_ratios(closed: Sequence[RunResult]) -> tuple[float, ...]:
    long_enough = [run for run in closed if run.done >= MIN_OPERATIONS_PER_CLIENT * run.in_flight]
    return tuple(littles_law_ratio(run.throughput, run.cycle_time, run.in_flight) for run in long_enough)


def _is_p99_valid(result: RunResult) -> bool:
    return result.done > 0 and result.failed <= MAX_FAILED_SHARE * (result.done + result.failed)


def _fit_curve(closed: Sequence[RunResult], chosen: Setting) -> UslFit | None:
    """Fit the law to the connections that can be busy at once: threads use no more than there are of them."""
    runs = [run for run in closed if replace(run.setting, pool=chosen.pool) == chosen and run.throughput > 0]
    sizes = [min(run.setting.pool, run.setting.threads) * run.setting.workers for run in runs]
    try:
        return fit_usl(sizes, [run.throughput for run in runs])
    except TooFewSizesError:
        return None


def _median_usage(runs: Sequence[RunResult]) -> ResourceUsage:
    """Return the median of each share over repeated runs."""
    usages = [run.usage for run in runs]
    return replace(
        usages[0],
        machine_cpu=_median([usage.machine_cpu for usage in usages]),
        process_cpu=_median([usage.process_cpu for usage in usages]),
        own_cpu=_median([usage.own_cpu for usage in usages]),
        lock_share=_median([usage.lock_share for usage in usages]),
        flush_share=_median([usage.flush_share for usage in usages]),
        pool_share=_median([usage.pool_share for usage in usages]),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
