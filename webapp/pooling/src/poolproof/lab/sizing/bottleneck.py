"""What limits the throughput at a size, as far as the measured usage shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CPU_BOUND_SHARE = 0.85
"""At this share of a processor, or of all processors of the machine, they are the bottleneck."""
LOCK_BOUND_SHARE = 0.3
FLUSH_BOUND_SHARE = 0.5
IDLE_CONNECTIONS_MESSAGE = (
    "No processor, lock or disk was seen to be busy: connections are held while nothing is done, or something outside "
    "of this machine is slow."
)


@dataclass(frozen=True)
class ResourceUsage:
    """How busy resources were while a size was fully used: shares of 1, and None where it was not visible."""

    size: int
    concurrency: int
    """How many threads of all processes worked at once."""
    processes: int = 1
    machine_cpu: float | None = None
    """Of all processors of this machine; the database may be on another."""
    process_cpu: float | None = None
    """Of one processor, by the busiest process that holds the pool."""
    own_cpu: float | None = None
    """Of all processors, by what belongs to the measurement: the pool's processes, the clients and the database."""
    lock_share: float | None = None
    """Of the time of all connections, spent waiting for rows that others had locked."""
    flush_share: float | None = None
    """Of the time, spent by the server on writing its log to the disk."""
    pool_share: float | None = None
    """Of an operation's time, spent waiting for a connection."""


@dataclass(frozen=True)
class Bottlenecks:
    """What limits, as short names and as sentences, and which resources could not be observed."""

    names: tuple[str, ...]
    sentences: tuple[str, ...]
    not_observed: tuple[str, ...]


def find_bottlenecks(
    usage: ResourceUsage, *, still_rises: bool, server_is_local: bool, next_larger: ResourceUsage | None = None
) -> Bottlenecks:
    """Return what limits at this size; `next_larger` is the usage at the next larger size, where it was measured."""
    bottlenecks = [
        *_lock_bottleneck(usage, None if still_rises else next_larger),
        *_cpu_bottleneck(usage),
        *_commit_bottleneck(usage),
        *_pool_bottleneck(usage, still_rises=still_rises),
    ] or [("idle holds", IDLE_CONNECTIONS_MESSAGE)]
    not_observed = tuple(_unobserved_resources(usage, server_is_local=server_is_local))
    return Bottlenecks(
        tuple(name for name, _ in bottlenecks), tuple(sentence for _, sentence in bottlenecks), not_observed
    )


def _lock_bottleneck(usage: ResourceUsage, next_larger: ResourceUsage | None) -> Iterator[tuple[str, str]]:
    if (share := usage.lock_share or 0.0) >= LOCK_BOUND_SHARE:
        yield (
            "locks",
            (
                f"Locks: connections spend {share:.0%} of their time waiting for rows that others hold. More "
                "connections only wait more; shorten the transactions."
            ),
        )
    elif next_larger is not None and (share := next_larger.lock_share or 0.0) >= LOCK_BOUND_SHARE:
        # Where every operation needs the same row, the knee is the size above which connections begin to wait for it.
        yield (
            "locks",
            (
                f"Locks: {next_larger.size} connections spend {share:.0%} of their time waiting for rows that others "
                f"hold, and do no more than {usage.size}; shorten the transactions."
            ),
        )


def _cpu_bottleneck(usage: ResourceUsage) -> Iterator[tuple[str, str]]:
    if (share := usage.process_cpu or 0.0) >= CPU_BOUND_SHARE:
        yield (
            "CPU",
            (
                f"CPU: a process uses {share:.0%} of a processor, and Python's threads share one. More workers may "
                "help where processors are free."
            ),
        )
    elif (share := usage.machine_cpu or 0.0) >= CPU_BOUND_SHARE:
        busy = f"{share:.0%} of this machine's processors are busy"
        if usage.own_cpu is None:
            yield "CPU", f"CPU: {busy}."
        elif usage.own_cpu < share / 2:
            yield (
                "other work",
                f"Other work: {busy}, only {usage.own_cpu:.0%} with this. Measure again when it is quiet.",
            )
        else:
            yield "CPU", f"CPU: {busy}, {usage.own_cpu:.0%} with this."


def _commit_bottleneck(usage: ResourceUsage) -> Iterator[tuple[str, str]]:
    if (share := usage.flush_share or 0.0) >= FLUSH_BOUND_SHARE:
        yield (
            "commits",
            (
                f"Commits: the server spends {share:.0%} of the time writing its log to the disk. Commit less often: "
                "group commit, or more in one transaction."
            ),
        )


def _pool_bottleneck(usage: ResourceUsage, *, still_rises: bool) -> Iterator[tuple[str, str]]:
    if usage.size >= usage.concurrency:
        yield "threads", f"Threads: no more than {usage.concurrency} work at once, so more connections would be idle."
    elif still_rises:
        waiting = f": {usage.pool_share:.0%} of an operation is waiting for one" if usage.pool_share is not None else ""
        yield "pool", f"The pool: throughput still rises with its size{waiting}. Measure larger ones."


def _unobserved_resources(usage: ResourceUsage, *, server_is_local: bool) -> Iterator[str]:
    if usage.machine_cpu is None:
        yield "how busy the processors are: this system does not say"
    elif not server_is_local:
        yield "how busy the database server's processors are: it is another machine"
    if usage.lock_share is None:
        yield "how long rows are waited for: the server does not say"
    if usage.flush_share is None:
        yield "how long commits take on the disk: the server's performance_schema does not say"
