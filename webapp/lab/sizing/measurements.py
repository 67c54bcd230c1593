"""What one run of a sweep was asked, and what it measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webapp.lab.sizing.recommendation import ResourceUsage


@dataclass(frozen=True, order=True)
class Setting:
    """What is varied."""

    pool: int
    """Connections of each process."""
    threads: int
    workers: int = 1
    is_grouped: bool = True
    """Whether writes go through group commit; the product's mix only."""

    def __str__(self) -> str:
        """Return it as an operator would say it."""
        alone = "" if self.is_grouped else ", each write commits alone"
        return f"{self.workers} × {self.threads} threads, pool {self.pool}{alone}"


@dataclass(frozen=True)
class LoadProfile:
    """How it is loaded: closed loop, or so many operations a second, whatever becomes of them; times in seconds."""

    warm_up: float
    seconds: float
    rate: float | None = None
    seed: int = 1

    @property
    def is_open(self) -> bool:
        """Whether operations come at their own rate."""
        return self.rate is not None


@dataclass(frozen=True)
class TimedOperation:
    """One operation: when it was meant to begin, and seconds from then to its end, for a connection, and with it."""

    intended_start: float
    seconds: float
    wait: float = 0.0
    hold: float = 0.0
    think: float = 0.0
    succeeded: bool = True


@dataclass(frozen=True)
class RunResult:
    """One run. Times are seconds; latencies run from the intended start."""

    setting: Setting
    load: LoadProfile
    done: int
    failed: int
    throughput: float
    """Operations that ended well, a second."""
    mean: float
    p50: float
    p99: float
    worst: float
    wait: float
    """For a connection, in the mean."""
    hold: float
    in_flight: float
    """Operations under way at once: in a closed loop known, as many as there are clients."""
    cycle_time: float
    """From one start of a client to its next in the mean; closed loop only."""
    usage: ResourceUsage
    client_cpu: float | None = None
    """Of a processor, by the busiest process of the load; None where the load is part of what is measured."""

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

    Throughput is what ended while it was measured. Latencies are in a closed loop those of the same operations; in
    an open one those of all that were meant to begin then, however late they ended.
    """
    counts_from = starts_at + load.warm_up
    window = (counts_from, counts_from + load.seconds)
    ended = [one for one in operations if window[0] <= one.intended_start + one.seconds < window[1]]
    counted = [one for one in operations if window[0] <= one.intended_start < window[1]] if load.is_open else ended
    well = [one for one in counted if one.succeeded]
    ordered = sorted(one.seconds for one in well)
    return RunResult(
        setting=setting,
        load=load,
        done=len(well),
        failed=len(counted) - len(well),
        throughput=sum(one.succeeded for one in ended) / load.seconds,
        mean=_mean(ordered),
        p50=quantile(ordered, 0.5),
        p99=quantile(ordered, 0.99),
        worst=ordered[-1] if ordered else 0.0,
        wait=_mean([one.wait for one in well]),
        hold=_mean([one.hold for one in well]),
        in_flight=float(clients),
        cycle_time=_mean([one.seconds + one.think for one in ended]),
        usage=usage,
        client_cpu=client_cpu,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of sorted seconds; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
