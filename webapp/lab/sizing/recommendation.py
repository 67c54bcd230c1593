"""From figures to a recommendation: the knee, what limits there, and what the figures cannot tell. Pure.

The knee is the smallest size that is as good as any: its throughput within a few percent of the best (closed loop),
its p99 within one step of the best (open loop, the same arrivals for all sizes). A smaller one costs throughput or
latency, a larger one costs connections and gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from poolproof.capacity.budget import FleetSize, Level, compute_budget, run_checks
from poolproof.capacity.server_info import ServerInfo
from poolproof.settings import PoolSettings, with_size
from webapp.lab.sizing.usl import Interval

THROUGHPUT_TOLERANCE = 0.05
"""By how much of the best throughput the knee may be lower."""
P99_STEP = 1.25
"""One step of p99: two that differ by less than this factor are as good as each other."""
LITTLES_LAW_TOLERANCE = 0.05
CPU_BOUND_SHARE = 0.85
"""From this share of a processor, or of the machine's processors, on they are what limits."""
LOCK_BOUND_SHARE = 0.3
FLUSH_BOUND_SHARE = 0.5
IDLE_HOLDS_MESSAGE = (
    "No processor, lock or disk was seen to be busy: connections are held while nothing is done, or something outside "
    "of this machine is slow."
)


@dataclass(frozen=True)
class Candidate:
    """A size, and what it does: operations a second, and seconds."""

    size: int
    throughput: Interval
    p99: Interval | None = None
    """None where it was not measured."""


@dataclass(frozen=True)
class ResourceUsage:
    """What was seen while a size was fully used; shares of 1, and None where it could not be seen."""

    size: int
    concurrency: int
    """How many were at work at once: threads, of all processes."""
    processes: int = 1
    machine_cpu: float | None = None
    """Of all processors of this machine; the database may be on another."""
    process_cpu: float | None = None
    """Of one processor, by the busiest process that holds the pool."""
    own_cpu: float | None = None
    """Of all processors, by what belongs to the measurement: the pool's processes, the clients and the database."""
    lock_share: float | None = None
    """Of the time of all connections, spent waiting for rows that others have locked."""
    flush_share: float | None = None
    """Of the time, spent by the server on bringing its log to the disk."""
    pool_share: float | None = None
    """Of an operation's time, spent waiting for a connection."""


@dataclass(frozen=True)
class Bottlenecks:
    """What limits (short names), in sentences, and what could not be told."""

    names: tuple[str, ...]
    sentences: tuple[str, ...]
    not_observed: tuple[str, ...]


def is_p99_comparable(p99: Interval, best: Interval) -> bool:
    """Whether a p99 is within one step of the best, or within two and its repetitions do not prove it worse."""
    return p99.value <= best.value * P99_STEP or (p99.value <= best.value * P99_STEP**2 and p99.overlaps(best))


def find_knee(candidates: Sequence[Candidate], tolerance: float = THROUGHPUT_TOLERANCE) -> Candidate:
    """Return the smallest size with nearly the best throughput and nearly the best p99.

    Where latency was measured, sizes without one are no candidates. Where no size has both, throughput goes first:
    a p99 at a load that is not served means nothing.

    Raises:
        ValueError: when there are no candidates.
    """
    best = max(one.throughput.value for one in candidates)
    fast = sorted(
        (one for one in candidates if one.throughput.value >= (1 - tolerance) * best), key=lambda one: one.size
    )
    timed = [(one, one.p99) for one in fast if one.p99 is not None]
    if not timed:
        return fast[0]
    lowest = min((p99 for _, p99 in timed), key=lambda p99: p99.value)
    return next(one for one, p99 in timed if is_p99_comparable(p99, lowest))


def within_one_step(size: int, candidates: Sequence[Candidate]) -> bool:
    """Whether a size, or the next one on either side, has a p99 as good as the best of an exhaustive run."""
    timed = sorted((one for one in candidates if one.p99 is not None), key=lambda one: one.size)
    sizes = [one.size for one in timed]
    if size not in sizes:
        return False
    best = min((one.p99 for one in timed if one.p99 is not None), key=lambda p99: p99.value)
    at = sizes.index(size)
    near = timed[max(0, at - 1) : at + 2]
    return any(one.p99 is not None and one.p99.value <= best.value * P99_STEP for one in near)


def littles_law_ratio(throughput: float, response_time: float, in_flight: float) -> float:
    """Return X · R / N: 1 where Little's law holds, as it must when nothing was left out or counted twice."""
    return throughput * response_time / in_flight


def describe_littles_law(ratios: Sequence[float]) -> str:
    """Say whether the figures agree with each other; by the middle run, as a short one has rough edges."""
    if not ratios:
        return "The runs were too short to be checked by Little's law."
    off = abs(median(ratios) - 1)
    if off <= LITTLES_LAW_TOLERANCE:
        return f"Little's law holds: throughput × response time is what was inside, off by {off:.1%}."
    return (
        f"Little's law is off by {off:.0%}: something was left out or counted twice, or the runs were too short; "
        "do not trust these figures."
    )


def mean_busy_connections(arrival_rate: float, hold_time: float) -> float:
    """Return how many connections are busy in the mean: arrivals a second × seconds each is held."""
    return arrival_rate * hold_time


def find_bottlenecks(
    usage: ResourceUsage, *, still_rises: bool, server_is_local: bool, next_larger: ResourceUsage | None = None
) -> Bottlenecks:
    """Return what limits at this size, as far as the figures tell; `beyond` was seen at the next larger one."""
    found = list(_observed_bottlenecks(usage, next_larger, still_rises=still_rises))
    unknown = list(_unobserved_resources(usage, server_is_local=server_is_local))
    if not found:
        found = [("idle holds", IDLE_HOLDS_MESSAGE)]
    return Bottlenecks(tuple(name for name, _ in found), tuple(said for _, said in found), tuple(unknown))


def _observed_bottlenecks(
    usage: ResourceUsage, next_larger: ResourceUsage | None, *, still_rises: bool
) -> Iterator[tuple[str, str]]:
    if usage.lock_share is not None and usage.lock_share >= LOCK_BOUND_SHARE:
        said = f"Locks: connections spend {usage.lock_share:.0%} of their time waiting for rows that others hold."
        yield "locks", f"{said} More connections only wait more; shorten the transactions."
    elif (
        next_larger is not None
        and next_larger.lock_share is not None
        and next_larger.lock_share >= LOCK_BOUND_SHARE
        and not still_rises
    ):
        # Where one row is all there is, the knee is where it begins to be waited for.
        said = (
            f"Locks: {next_larger.size} connections spend {next_larger.lock_share:.0%} of their time waiting for rows"
        )
        yield "locks", f"{said} that others hold, and do no more than {usage.size}; shorten the transactions."
    if usage.process_cpu is not None and usage.process_cpu >= CPU_BOUND_SHARE:
        said = f"CPU: a process uses {usage.process_cpu:.0%} of a processor, and Python's threads share one."
        yield "CPU", f"{said} More workers may help where processors are free."
    elif usage.machine_cpu is not None and usage.machine_cpu >= CPU_BOUND_SHARE:
        yield _cpu_bottleneck(usage, usage.machine_cpu)
    if usage.flush_share is not None and usage.flush_share >= FLUSH_BOUND_SHARE:
        said = f"Commits: the server spends {usage.flush_share:.0%} of the time on bringing its log to the disk."
        yield "commits", f"{said} Commit less often: group commit, or more in one transaction."
    if usage.size >= usage.concurrency:
        yield "threads", f"Threads: no more than {usage.concurrency} are at work at once, so more connections lie idle."
    elif still_rises:
        share = f": {usage.pool_share:.0%} of an operation is waiting for one" if usage.pool_share is not None else ""
        yield "pool", f"The pool: throughput still rises with its size{share}. Measure larger ones."


def _cpu_bottleneck(usage: ResourceUsage, share: float) -> tuple[str, str]:
    said = f"{share:.0%} of this machine's processors are busy"
    if usage.own_cpu is not None and usage.own_cpu < share / 2:
        return "other work", f"Other work: {said}, only {usage.own_cpu:.0%} with this. Measure again when it is quiet."
    return "CPU", f"CPU: {said}" + (f", {usage.own_cpu:.0%} with this." if usage.own_cpu is not None else ".")


def _unobserved_resources(usage: ResourceUsage, *, server_is_local: bool) -> Iterator[str]:
    if usage.machine_cpu is None:
        yield "how busy the processors are: this system does not say"
    elif not server_is_local:
        yield "how busy the database server's processors are: it is another machine"
    if usage.lock_share is None:
        yield "how long rows are waited for: the server does not say"
    if usage.flush_share is None:
        yield "how long commits take on the disk: the server's performance_schema does not say"


@dataclass(frozen=True)
class FittedSize:
    """The size that fits the server's connections; smaller than wished where it must be."""

    size: int
    max_connections_needed: int
    """Connections of the whole fleet at most, while it is reloaded, with the reserve."""
    sentences: tuple[str, ...]


def fit_to_server(size: int, fleet: FleetSize, pool: PoolSettings, server: ServerInfo) -> FittedSize:
    """Return the recommended size, or the largest below it that the budget has room for."""
    for smaller in range(size, 0, -1):
        wished = with_size(pool, smaller)
        need = compute_budget(fleet, wished).total
        missed = [one for one in run_checks(fleet, wished, server) if one.level is Level.FAIL and "max_" in one.check]
        if missed and smaller > 1:
            continue
        said = [f"The fleet then needs {compute_budget(fleet, wished)}."]
        if missed:
            said = [f"It does not fit the server: {one.sentence} {one.remedy}" for one in missed]
        elif smaller < size:
            said.append(f"{size} would be better, but the server has no room for it: raise max_connections.")
        return FittedSize(smaller, need, tuple(said))
    raise ValueError("a pool has at least one connection")


def format_settings(fleet: FleetSize, size: int) -> str:
    """Return the lines for the environment."""
    return f"POOLPROOF_WORKERS={fleet.workers}\nPOOLPROOF_THREADS={fleet.threads}\nPOOL_SIZE={size}\n"
