"""Which of the measured sizes is recommended, and whether it fits the server. Pure.

The knee is the smallest size that is as good as any: its throughput within a few percent of the best (closed loop),
its p99 within one step of the best (open loop, the same arrivals for all sizes). A smaller one costs throughput or
latency, a larger one costs connections and gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from poolproof.capacity.budget import FleetSize, Level, compute_budget, run_checks
from poolproof.capacity.server_info import ServerInfo
from poolproof.lab.sizing.usl import Interval
from poolproof.settings import PoolSettings, with_size

THROUGHPUT_TOLERANCE = 0.05
"""By how much of the best throughput the knee may be lower."""
P99_STEP = 1.25
"""One step of p99: two that differ by less than this factor are as good as each other."""
LITTLES_LAW_TOLERANCE = 0.05


@dataclass(frozen=True)
class Candidate:
    """A size with its throughput (operations a second) and its p99 (seconds)."""

    size: int
    throughput: Interval
    p99: Interval | None = None
    """None where latency was not measured."""


def is_p99_comparable(p99: Interval, best: Interval) -> bool:
    """Return whether a p99 is within one step of the best, or within two and the intervals overlap."""
    return p99.value <= best.value * P99_STEP or (p99.value <= best.value * P99_STEP**2 and p99.overlaps(best))


def find_knee(candidates: Sequence[Candidate], tolerance: float = THROUGHPUT_TOLERANCE) -> Candidate:
    """Return the smallest size with nearly the best throughput and nearly the best p99.

    Where the latency of some sizes was measured, the others are not considered. Throughput decides first: a p99 at a
    load that is not served means nothing.

    Raises:
        ValueError: when there are no candidates.
    """
    best = max(candidate.throughput.value for candidate in candidates)
    threshold = (1 - tolerance) * best
    fast = [candidate for candidate in candidates if candidate.throughput.value >= threshold]
    fast.sort(key=lambda candidate: candidate.size)
    timed = [(candidate, candidate.p99) for candidate in fast if candidate.p99 is not None]
    if not timed:
        return fast[0]
    lowest = min((p99 for _, p99 in timed), key=lambda p99: p99.value)
    return next(candidate for candidate, p99 in timed if is_p99_comparable(p99, lowest))


def within_one_step(size: int, candidates: Sequence[Candidate]) -> bool:
    """Return whether a size, or the next one on either side, has a p99 within one step of the best."""
    timed = sorted(
        (candidate for candidate in candidates if candidate.p99 is not None), key=lambda candidate: candidate.size
    )
    sizes = [candidate.size for candidate in timed]
    if size not in sizes:
        return False
    best = min((candidate.p99 for candidate in timed if candidate.p99 is not None), key=lambda p99: p99.value)
    index = sizes.index(size)
    neighbours = timed[max(0, index - 1) : index + 2]
    return any(candidate.p99 is not None and candidate.p99.value <= best.value * P99_STEP for candidate in neighbours)


def littles_law_ratio(throughput: float, response_time: float, in_flight: float) -> float:
    """Return X · R / N: 1 where Little's law holds, as it must when nothing was left out or counted twice."""
    return throughput * response_time / in_flight


def describe_littles_law(ratios: Sequence[float]) -> str:
    """Say whether the figures agree with each other, by the median of the runs: a short run is inexact."""
    if not ratios:
        return "The runs were too short to be checked by Little's law."
    deviation = abs(median(ratios) - 1)
    if deviation <= LITTLES_LAW_TOLERANCE:
        return f"Little's law holds: throughput × response time = operations under way, off by {deviation:.1%}."
    return (
        f"Little's law is off by {deviation:.0%}: operations were left out or counted twice, or the runs were too "
        "short; do not trust these figures."
    )


def mean_busy_connections(arrival_rate: float, hold_time: float) -> float:
    """Return the mean number of busy connections: arrivals a second × seconds each is held."""
    return arrival_rate * hold_time


@dataclass(frozen=True)
class FittedSize:
    """The recommended size, or a smaller one that fits the connections of the server."""

    size: int
    max_connections_needed: int
    """Connections of the whole fleet at most, while it is reloaded, with the reserve."""
    sentences: tuple[str, ...]


def fit_to_server(size: int, fleet: FleetSize, pool: PoolSettings, server: ServerInfo) -> FittedSize:
    """Return the recommended size, or the largest below it that the budget has room for."""
    for smaller in range(size, 0, -1):
        pool_settings = with_size(pool, smaller)
        total = compute_budget(fleet, pool_settings).total
        checks = run_checks(fleet, pool_settings, server)
        failed_checks = [check for check in checks if check.level is Level.FAIL and "max_" in check.check]
        if failed_checks and smaller > 1:
            continue
        sentences = [f"The fleet then needs {compute_budget(fleet, pool_settings)}."]
        if failed_checks:
            sentences = [f"It does not fit the server: {check.sentence} {check.remedy}" for check in failed_checks]
        elif smaller < size:
            sentences.append(f"{size} would be better, but the server has no room for it: raise max_connections.")
        return FittedSize(smaller, total, tuple(sentences))
    raise ValueError("a pool has at least one connection")


def format_settings(fleet: FleetSize, size: int) -> str:
    """Return the lines for the environment."""
    return f"POOLPROOF_WORKERS={fleet.workers}\nPOOLPROOF_THREADS={fleet.threads}\nPOOL_SIZE={size}\n"


def engine_settings(size: int) -> str:
    """Return the lines for an application: for SQLAlchemy, and for Flask-SQLAlchemy."""
    return (
        f"engine = poolproof.adopt(create_engine(url, pool_size={size}, max_overflow=0))\n"
        f'SQLALCHEMY_ENGINE_OPTIONS = {{"pool_size": {size}, "max_overflow": 0}}\n'
    )
