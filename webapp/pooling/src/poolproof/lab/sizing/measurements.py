"""The setting, the load and the figures of one run of a sweep. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from poolproof.lab.loadgen.load_profile import LoadProfile, TimedOperation
from poolproof.lab.reporting.latency import percentile
from poolproof.lab.sizing.bottleneck import ResourceUsage


@dataclass(frozen=True, order=True)
class Setting:
    """What a sweep varies."""

    pool: int
    """Connections of each process."""
    threads: int
    workers: int = 1
    is_grouped: bool = True
    """Whether writes go through group commit; the product's mix only."""

    def __str__(self) -> str:
        """Return it in words for a line of progress."""
        alone = "" if self.is_grouped else ", each write commits alone"
        return f"{self.workers} × {self.threads} threads, pool {self.pool}{alone}"


@dataclass(frozen=True)
class RunResult:
    """One run. Times are seconds; latencies run from the intended start."""

    setting: Setting
    load: LoadProfile
    done: int
    failed: int
    throughput: float
    """Operations that succeeded, a second."""
    mean: float
    p50: float
    p99: float
    worst: float
    wait: float
    """Mean time that an operation waited for a connection."""
    hold: float
    """Mean time that it held one."""
    in_flight: float
    """Operations under way at once: in a closed loop as many as there are clients."""
    cycle_time: float
    """Mean time from one start of a client to its next one; closed loop only."""
    usage: ResourceUsage
    client_cpu: float | None = None
    """Share of a processor used by the busiest process of the load; None where the load is part of the measurement."""

    def as_row(self) -> dict[str, Any]:
        """Return it as one flat row."""
        flat = asdict(self)
        setting, load, usage = flat.pop("setting"), flat.pop("load"), flat.pop("usage")
        del usage["size"], usage["concurrency"], usage["processes"]
        return {**setting, **load, **flat, **usage}


def summarize_run(
    setting: Setting,
    load: LoadProfile,
    operations: Sequence[TimedOperation],
    starts_at: float,
    *,
    clients: int,
    usage: ResourceUsage,
    client_cpu: float | None = None,
) -> RunResult:
    """Return the figures of a run that began with its warm-up at `starts_at`.

    Throughput counts the operations that ended in the measured window. Latencies are those of the same operations in
    a closed loop, and in an open one those of all that were meant to begin in the window, however late they ended.
    """
    window_start = starts_at + load.warm_up
    window_end = window_start + load.seconds
    ended = [operation for operation in operations if window_start <= operation.end < window_end]
    started = [operation for operation in operations if window_start <= operation.intended_start < window_end]
    counted = started if load.is_open else ended
    succeeded = [operation for operation in counted if operation.succeeded]
    ordered = sorted(operation.seconds for operation in succeeded)
    return RunResult(
        setting=setting,
        load=load,
        done=len(succeeded),
        failed=len(counted) - len(succeeded),
        throughput=sum(operation.succeeded for operation in ended) / load.seconds,
        mean=_mean(ordered),
        p50=percentile(ordered, 0.5),
        p99=percentile(ordered, 0.99),
        worst=ordered[-1] if ordered else 0.0,
        wait=_mean([operation.wait for operation in succeeded]),
        hold=_mean([operation.hold for operation in succeeded]),
        in_flight=float(clients),
        cycle_time=_mean([operation.seconds + operation.think for operation in ended]),
        usage=usage,
        client_cpu=client_cpu,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
