"""How many connections are needed, measured live, against how many there are. Pure functions of plain numbers.

The need is Little's law, L = λW (J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961): on average as many
connections are busy as are checked out per second, times the seconds of each checkout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from poolproof.capacity.budget import Finding, Level

USAGE_WARNING_RATIO = 0.9
IDLE_THRESHOLD = 0.05
"""Connections busy on average below which the demand is reported as none."""
MISMATCH_FACTOR = 2.0
"""How many times more or fewer connections than recommended are a warning."""


@dataclass(frozen=True)
class Usage:
    """What one process measured in a window: checkouts, and the seconds of all of them in it."""

    checkouts: int
    busy_seconds: float
    window_seconds: float


@dataclass(frozen=True)
class Demand:
    """What a fleet needs now; `open_most` and `rejected` are of the last hour, None where the peak is not known."""

    rate: float = 0.0
    """Checkouts per second."""
    busy: float = 0.0
    """Connections busy on average; includes those that are still checked out."""
    open_most: int | None = None
    rejected: int = 0

    @property
    def mean_use_time(self) -> float:
        """Seconds of a checkout on average; 0.0 where there was none."""
        return self.busy / self.rate if self.rate else 0.0


@dataclass(frozen=True)
class SizeRecommendation:
    """What a measurement recommended: a pool of `pool_size` for each of `workers`; throughput is per second."""

    at: str
    """When it was measured: a date, or a time that begins with one."""
    workers: int
    pool_size: int
    throughput: float
    p99: float | None
    """Seconds; None where no latency was measured."""

    @property
    def connections(self) -> int:
        """Connections of all workers together."""
        return self.workers * self.pool_size


def measure_demand(usages: Iterable[Usage], open_most: int | None = None, rejected: int = 0) -> Demand:
    """Return the demand of processes that were measured, each in its own window."""
    windows = list(usages)
    rate = sum(usage.checkouts / usage.window_seconds for usage in windows)
    busy = sum(usage.busy_seconds / usage.window_seconds for usage in windows)
    return Demand(rate, busy, open_most, rejected)


def check_server_usage(connected: int, max_connections: int | None) -> Finding | None:
    """Return a failure when nearly all connections that the server allows are in use, else None."""
    if not max_connections or connected < USAGE_WARNING_RATIO * max_connections:
        return None
    remedy = "Check the budget: who else connects? Raise max_connections, or use fewer workers or a smaller pool."
    return Finding("budget", Level.FAIL, f"The server has {connected} of {max_connections}.", remedy)


def check_demand(demand: Demand, available: int) -> Finding:
    """Compare the demand with the connections that the pools of requests have together."""
    if demand.rate == 0 and demand.busy < IDLE_THRESHOLD:
        return Finding("size", Level.OK, "No connection was checked out in the last minute.")
    sentence = (
        f"Needs {demand.busy:.1f} of {available}: {demand.rate:.1f} checkouts per second, "
        f"{demand.mean_use_time * 1000:.1f} ms each."
    )
    if demand.busy > USAGE_WARNING_RATIO * available:
        remedy = "Release connections sooner, or raise POOL_SIZE within the budget. See docs/which-pool-size.md."
        return Finding("size", Level.WARN, sentence, remedy)
    return Finding("size", Level.OK, sentence)


def check_recommendation(recommendation: SizeRecommendation, demand: Demand, available: int, workers: int) -> Finding:
    """Compare what was recommended with the connections of `workers` together, and with the demand."""
    best = recommendation.connections
    latency = f", p99 {recommendation.p99 * 1000:.0f} ms" if recommendation.p99 is not None else ""
    sentence = (
        f"The lab measured on {recommendation.at[:10]} that {best} connections carry "
        f"{recommendation.throughput:,.0f} requests per second{latency}; {available} are set, "
        f"{demand.busy:.1f} are needed now."
    )
    if demand.busy > best:
        remedy = "More is needed than the lab recommended: the workload has changed since. Measure again."
        return Finding("size", Level.WARN, sentence, remedy)
    if not best / MISMATCH_FACTOR <= available <= best * MISMATCH_FACTOR:
        size = max(1, round(best / workers))
        remedy = f"Set POOL_SIZE={size} for {workers} workers, or measure again: poolproof lab size."
        return Finding("size", Level.WARN, sentence, remedy)
    return Finding("size", Level.OK, sentence)
