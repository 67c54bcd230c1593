"""The report of a sweep: curve with band, latency against load, tables, what to set. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from webapp.lab.figures import Measured
from webapp.lab.knee import Fitting, little_sentence, settings_to_paste
from webapp.lab.plots import lines
from webapp.lab.reporting import Figure, Report, Table
from webapp.lab.scaling import Interval, interval_of
from webapp.lab.sizing import Found
from webapp.lab.sweep import COMMON_LOAD
from webapp.pooling.budget import Fleet

BUSY_CLIENT = 0.85
DISTURBED = 0.2
POINTS = 60


@dataclass(frozen=True)
class Circumstances:
    """What a report says beside the figures."""

    what: str
    """The product's mix, or the workload's title."""
    database: str
    at: str
    command: str
    background_processes: int
    busy_before: float | None
    """The share of this machine's processors that others used before it began."""
    planned: int
    """Runs."""
    is_complete: bool


def report(found: Found | None, fitting: Fitting | None, measured: Sequence[Measured], told: Circumstances) -> Report:
    """Return the report; where the sweep was stopped before anything was measured it says that."""
    stopped = (
        "" if told.is_complete else f" Stopped after {len(measured)} of {told.planned} runs; this is what they show."
    )
    if found is None or fitting is None:
        return Report(
            "size", f"Size: {told.what}", f"Nothing was measured.{stopped}", (), told.command, is_complete=False
        )
    fleet = Fleet(found.setting.workers, found.setting.threads, told.background_processes)
    return Report(
        kind="size",
        title=f"Size: {told.what}",
        verdict=_verdict(found, fitting) + stopped,
        findings=tuple(_findings(found, fitting, measured, told)),
        command=told.command,
        settings=settings_to_paste(fleet, fitting.size),
        tables=(_sizes(found, measured), *_loads(found, measured)),
        figures=tuple(_figures(found, measured)),
        data={"recommended": recommended(found, fitting, told), "fit": _fit(found), "little": found.little},
        rows=tuple(one.as_row() for one in measured),
        is_complete=told.is_complete,
    )


def recommended(found: Found, fitting: Fitting, told: Circumstances) -> dict[str, Any]:
    """Return what the console compares with later; seconds, and operations a second."""
    p99 = found.knee.p99
    return {
        "at": told.at,
        "database": told.database,
        "workload": told.what,
        "workers": found.setting.workers,
        "threads": found.setting.threads,
        "pool": fitting.size,
        "needs": fitting.need,
        "busy": found.busy,
        "rate": found.rate,
        "throughput": found.knee.throughput.value,
        "throughput_interval": [found.knee.throughput.low, found.knee.throughput.high],
        "p99": p99.value if p99 else None,
        "p99_interval": [p99.low, p99.high] if p99 else None,
        "limits": list(found.limits.names),
    }


def _verdict(found: Found, fitting: Fitting) -> str:
    setting, best = found.setting, found.knee
    said = (
        f"POOL_SIZE={fitting.size} for {setting.workers} × {setting.threads} threads: "
        f"{_between(best.throughput)} a second at most"
    )
    if best.p99 is not None:
        said += f", and p99 {_between(best.p99, 1000)} ms at {COMMON_LOAD:.0%} of the best ({found.rate:.0f} a second)"
    return f"{said}. What limits: {' and '.join(found.limits.names)}."


def _findings(found: Found, fitting: Fitting, measured: Sequence[Measured], told: Circumstances) -> list[str]:
    said = list(found.limits.sentences)
    rate = found.rate or found.knee.throughput.value
    said.append(
        f"At {rate:.0f} a second {found.busy:.1f} connections are busy in the mean (Little's law: arrivals × seconds "
        "each is held); the rest is for moments at which more come."
    )
    said += fitting.sentences
    if found.fit is not None:
        said.append(found.fit.sentence())
    if found.ungrouped is not None:
        ratio = found.knee.throughput.value / found.ungrouped
        said.append(
            f"With a commit for each write instead of group commit: {found.ungrouped:.0f} a second, {ratio:.1f} × less."
        )
    said.append(little_sentence(found.little))
    busy = max((one.client_cpu or 0.0 for one in measured), default=0.0)
    if busy > BUSY_CLIENT:
        said.append(f"The load itself used {busy:.0%} of a processor: it was the bottleneck, give it more --processes.")
    if found.limits.unknown:
        said.append(f"It could not tell {'; '.join(found.limits.unknown)}.")
    if (told.busy_before or 0.0) > DISTURBED:
        said.append(
            f"Before it began {told.busy_before:.0%} of the processors were busy already: others disturb these figures."
        )
    return said


def _sizes(found: Found, measured: Sequence[Measured]) -> Table:
    rows = []
    for one in found.candidates:
        setting = replace(found.setting, pool=one.size)
        seen = [run.seen for run in measured if run.setting == setting and not run.load.is_open]
        mark = "← recommended" if one.size == found.knee.size else ""
        p99 = _between(one.p99, 1000) if one.p99 else None
        shares = [
            _share([getattr(each, name) for each in seen])
            for name in ("pool_share", "machine_cpu", "own_cpu", "lock_share", "flush_share")
        ]
        rows.append((one.size, _between(one.throughput), p99, *shares, mark))
    columns = (
        "pool",
        "a second (closed loop)",
        "p99 ms (open loop)",
        "waiting for it",
        "processors",
        "by this",
        "row locks",
        "log flush",
        "",
    )
    note = f"90 % intervals over the repetitions. Latencies at {found.rate:.0f} a second, from the intended start."
    return Table("Sizes", columns, tuple(rows), note)


def _loads(found: Found, measured: Sequence[Measured]) -> list[Table]:
    runs = _opened(found, measured)
    if not runs:
        return []
    best = found.rate / COMMON_LOAD
    rows = tuple(
        (
            f"{rate / best:.0%}",
            rate,
            _mean([one.throughput for one in some]),
            *_times(some),
            sum(one.failed for one in some),
        )
        for rate, some in sorted(runs.items())
    )
    columns = ("of the best", "come a second", "served a second", "p50 ms", "p99 ms", "worst ms", "failed")
    return [Table("Latency against load", columns, rows, f"Pool {found.knee.size}; from the intended start.")]


def _opened(found: Found, measured: Sequence[Measured]) -> dict[float, list[Measured]]:
    by_rate: dict[float, list[Measured]] = {}
    for one in measured:
        if one.setting == found.setting and one.load.rate is not None:
            by_rate.setdefault(one.load.rate, []).append(one)
    return by_rate


def _times(runs: Sequence[Measured]) -> tuple[float, float, float]:
    return (
        _mean([one.p50 for one in runs]) * 1000,
        _mean([one.p99 for one in runs]) * 1000,
        max(one.worst for one in runs) * 1000,
    )


def _figures(found: Found, measured: Sequence[Measured]) -> list[Figure]:
    series: dict[str, list[tuple[float, float]]] = {}
    bands: dict[str, list[tuple[float, float, float]]] = {}
    each = found.setting.workers
    most = found.setting.threads
    series["measured"] = [(min(one.size, most) * each, one.throughput.value) for one in found.candidates]
    if found.fit is not None:
        last = max(at for at, _ in series["measured"])
        sizes = [1 + (last - 1) * number / POINTS for number in range(POINTS + 1)]
        around = [(at, found.fit.band(at)) for at in sizes]
        series["the law"] = [(at, band.value) for at, band in around]
        bands["the law"] = [(at, band.low, band.high) for at, band in around]
    marks = [(min(found.knee.size, most) * each, "recommended")]
    label = "connections that can be at work at once"
    drawn = [lines("Throughput", label, "operations a second", series, bands=bands, marks=marks)]
    times = [
        (rate / found.rate * COMMON_LOAD * 100, _times(some)) for rate, some in sorted(_opened(found, measured).items())
    ]
    if times:
        by_name = {"p50": [(at, p50) for at, (p50, _, _) in times], "p99": [(at, p99) for at, (_, p99, _) in times]}
        title = "Latency against load"
        drawn.append(lines(title, "load, % of the best throughput", "milliseconds", by_name, log_y=True))
    return drawn


def _fit(found: Found) -> Mapping[str, Any] | None:
    if found.fit is None:
        return None
    named = ("rate", "contention", "coherency", "peak_at", "peak")
    intervals = {name: asdict(getattr(found.fit, name)) for name in named}
    if not found.fit.has_peak:
        del intervals["peak_at"]
    return {**intervals, "has_peak": found.fit.has_peak, "misfit": found.fit.misfit, "level": found.fit.level}


def _between(one: Interval, times: float = 1.0) -> str:
    low, value, high = one.low * times, one.value * times, one.high * times
    return f"{value:.0f} ({low:.0f} to {high:.0f})" if high > low else f"{value:.0f}"


def _share(values: Sequence[float | None]) -> str | None:
    there = [value for value in values if value is not None]
    return f"{sum(there) / len(there):.0%}" if there else None


def _mean(values: Sequence[float]) -> float:
    return interval_of(values).value
