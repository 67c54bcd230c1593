"""From the runs of a sweep to what is recommended, and how sure that is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from webapp.lab.figures import Measured, Setting
from webapp.lab.knee import WITHIN, Candidate, Limits, Seen, knee, limits, little, needed
from webapp.lab.scaling import Fit, TooFewSizesError, fit, interval_of

MOST_FAILED = 0.01
"""Above this share of failures a p99 says nothing: the slowest are among those that failed."""

ENOUGH = 10
"""So many operations of each client make the rough edges of a run small."""


@dataclass(frozen=True)
class Found:
    """What a sweep has found."""

    setting: Setting
    """Recommended."""
    knee: Candidate
    candidates: tuple[Candidate, ...]
    rate: float
    """Operations a second at which the latencies were compared; 0 when they were not."""
    busy: float
    """Connections that are busy in the mean at that rate, of the whole fleet."""
    limits: Limits
    little: tuple[float, ...]
    """Throughput × response time / what was inside, of every closed loop."""
    fit: Fit | None
    """None with fewer than three sizes."""
    ungrouped: float | None
    """Operations a second when each write commits alone; None when it was not tried."""


def candidates_of(measured: Sequence[Measured], like: Setting, rate: float) -> list[Candidate]:
    """Return the pool sizes that were measured with these workers and threads."""
    own = [one for one in measured if replace(one.setting, pool=like.pool) == like]
    found = []
    for size in sorted({one.setting.pool for one in own}):
        runs = [one for one in own if one.setting.pool == size]
        throughputs = [one.throughput for one in runs if not one.load.is_open]
        times = [one.p99 for one in runs if one.load.rate == rate and rate and _is_clean(one)]
        if throughputs:
            p99 = interval_of(times) if times else None
            found.append(Candidate(size, interval_of(throughputs), p99))
    return found


def usable(candidates: Sequence[Candidate], setting: Setting) -> Sequence[Candidate]:
    """Return the candidates that the threads can use whole: each holds one connection, and more are never busy.

    Larger ones are measured to show that, and may come out better by chance. All, where only such were measured.
    """
    return [one for one in candidates if one.size <= setting.threads] or candidates


def find(
    measured: Sequence[Measured], chosen: Setting, rate: float, within: float = WITHIN, *, server_is_here: bool = True
) -> Found | None:
    """Return what is recommended; None when nothing was measured."""
    candidates = candidates_of(measured, chosen, rate)
    if not candidates:
        return None
    best = knee(usable(candidates, chosen), within)
    setting = replace(chosen, pool=best.size)
    closed = [one for one in measured if not one.load.is_open]
    full = [one for one in closed if one.setting == setting]
    largest = max(one.size for one in candidates)
    larger = min((one.size for one in candidates if one.size > best.size), default=0)
    beyond = [one for one in closed if one.setting == replace(setting, pool=larger)]
    alone = [one.throughput for one in closed if one.setting == replace(setting, is_grouped=False)]
    return Found(
        setting=setting,
        knee=best,
        candidates=tuple(candidates),
        rate=rate,
        busy=needed(rate or best.throughput.value, median(one.hold for one in full)),
        limits=limits(
            _middle(full),
            still_rises=best.size == largest,
            server_is_here=server_is_here,
            beyond=_middle(beyond) if beyond else None,
        ),
        little=tuple(
            little(one.throughput, one.cycle, one.inside) for one in closed if one.done >= ENOUGH * one.inside
        ),
        fit=_fitted(closed, chosen),
        ungrouped=interval_of(alone).value if alone else None,
    )


def _is_clean(one: Measured) -> bool:
    return one.done > 0 and one.failed <= MOST_FAILED * (one.done + one.failed)


def _fitted(closed: Sequence[Measured], chosen: Setting) -> Fit | None:
    """Fit the law to the connections that can be at work at once: threads use no more than there are of them."""
    own = [one for one in closed if replace(one.setting, pool=chosen.pool) == chosen and one.throughput > 0]
    sizes = [min(one.setting.pool, one.setting.threads) * one.setting.workers for one in own]
    try:
        return fit(sizes, [one.throughput for one in own])
    except TooFewSizesError:
        return None


def _middle(runs: Sequence[Measured]) -> Seen:
    """Return the medians of what was seen in repeated runs."""
    first = runs[0].seen

    def middle(name: str) -> float | None:
        values = [value for one in runs if (value := getattr(one.seen, name)) is not None]
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
