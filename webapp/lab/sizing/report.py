"""The report of a sweep: curve with band, latency against load, tables, what to set. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from poolproof.capacity.budget import FleetSize
from webapp.lab.reporting.plots import plot_lines
from webapp.lab.reporting.report import Figure, LabReport, Table
from webapp.lab.sizing.analysis import Recommendation
from webapp.lab.sizing.measurements import RunResult
from webapp.lab.sizing.recommendation import FittedSize, describe_littles_law, format_settings
from webapp.lab.sizing.sweep import COMPARISON_LOAD
from webapp.lab.sizing.usl import Interval, estimate_interval

MAX_CLIENT_CPU = 0.85
MAX_BACKGROUND_CPU = 0.2
CURVE_POINTS = 60


@dataclass(frozen=True)
class RunContext:
    """What a report says beside the figures."""

    workload_title: str
    """The product's mix, or the workload's title."""
    database: str
    at: str
    command: str
    background_processes: int
    cpu_before: float | None
    """The share of this machine's processors that others used before it began."""
    planned_runs: int
    """Runs."""
    is_complete: bool


def build_report(
    recommendation: Recommendation | None,
    fitted_size: FittedSize | None,
    results: Sequence[RunResult],
    context: RunContext,
) -> LabReport:
    """Return the report; where the sweep was stopped before anything was measured it says that."""
    stopped = (
        ""
        if context.is_complete
        else f" Stopped after {len(results)} of {context.planned_runs} runs; this is what they show."
    )
    if recommendation is None or fitted_size is None:
        return LabReport(
            "size",
            f"Size: {context.workload_title}",
            f"Nothing was measured.{stopped}",
            (),
            context.command,
            is_complete=False,
        )
    fleet = FleetSize(recommendation.setting.workers, recommendation.setting.threads, context.background_processes)
    return LabReport(
        kind="size",
        title=f"Size: {context.workload_title}",
        verdict=_verdict(recommendation, fitted_size) + stopped,
        findings=tuple(_findings(recommendation, fitted_size, results, context)),
        command=context.command,
        settings=format_settings(fleet, fitted_size.size),
        tables=(_size_table(recommendation, results), *_latency_tables(recommendation, results)),
        figures=tuple(_figures(recommendation, results)),
        data={
            "recommended": recommendation_data(recommendation, fitted_size, context),
            "fit": _fit_data(recommendation),
            "little": recommendation.littles_law_ratios,
        },
        rows=tuple(one.as_row() for one in results),
        is_complete=context.is_complete,
    )


def recommendation_data(recommendation: Recommendation, fitted_size: FittedSize, context: RunContext) -> dict[str, Any]:
    """Return what the console compares with later; seconds, and operations a second."""
    p99 = recommendation.knee.p99
    return {
        "at": context.at,
        "database": context.database,
        "workload": context.workload_title,
        "workers": recommendation.setting.workers,
        "threads": recommendation.setting.threads,
        "pool": fitted_size.size,
        "needs": fitted_size.max_connections_needed,
        "busy": recommendation.busy_connections,
        "rate": recommendation.rate,
        "throughput": recommendation.knee.throughput.value,
        "throughput_interval": [recommendation.knee.throughput.low, recommendation.knee.throughput.high],
        "p99": p99.value if p99 else None,
        "p99_interval": [p99.low, p99.high] if p99 else None,
        "limits": list(recommendation.bottlenecks.names),
    }


def _verdict(recommendation: Recommendation, fitted_size: FittedSize) -> str:
    setting, best = recommendation.setting, recommendation.knee
    said = (
        f"POOL_SIZE={fitted_size.size} for {setting.workers} × {setting.threads} threads: "
        f"{_format_interval(best.throughput)} a second at most"
    )
    if best.p99 is not None:
        said += f", and p99 {_format_interval(best.p99, 1000)} ms at {COMPARISON_LOAD:.0%} of the best ({recommendation.rate:.0f} a second)"
    return f"{said}. What limits: {' and '.join(recommendation.bottlenecks.names)}."


def _findings(
    recommendation: Recommendation, fitted_size: FittedSize, results: Sequence[RunResult], context: RunContext
) -> list[str]:
    said = list(recommendation.bottlenecks.sentences)
    rate = recommendation.rate or recommendation.knee.throughput.value
    said.append(
        f"At {rate:.0f} a second {recommendation.busy_connections:.1f} connections are busy in the mean (Little's law: arrivals × seconds "
        "each is held); the rest is for moments at which more come."
    )
    said += fitted_size.sentences
    if recommendation.fit is not None:
        said.append(recommendation.fit.describe())
    if recommendation.throughput_without_group_commit is not None:
        ratio = recommendation.knee.throughput.value / recommendation.throughput_without_group_commit
        said.append(
            f"With a commit for each write instead of group commit: {recommendation.throughput_without_group_commit:.0f} a second, {ratio:.1f} × less."
        )
    said.append(describe_littles_law(recommendation.littles_law_ratios))
    busy = max((one.client_cpu or 0.0 for one in results), default=0.0)
    if busy > MAX_CLIENT_CPU:
        said.append(f"The load itself used {busy:.0%} of a processor: it was the bottleneck, give it more --processes.")
    if recommendation.bottlenecks.not_observed:
        said.append(f"It could not tell {'; '.join(recommendation.bottlenecks.not_observed)}.")
    if (context.cpu_before or 0.0) > MAX_BACKGROUND_CPU:
        said.append(
            f"Before it began {context.cpu_before:.0%} of the processors were busy already: others disturb these figures."
        )
    return said


def _size_table(recommendation: Recommendation, results: Sequence[RunResult]) -> Table:
    rows = []
    for one in recommendation.candidates:
        setting = replace(recommendation.setting, pool=one.size)
        seen = [run.usage for run in results if run.setting == setting and not run.load.is_open]
        mark = "← recommended" if one.size == recommendation.knee.size else ""
        p99 = _format_interval(one.p99, 1000) if one.p99 else None
        shares = [
            _format_share([getattr(each, name) for each in seen])
            for name in ("pool_share", "machine_cpu", "own_cpu", "lock_share", "flush_share")
        ]
        rows.append((one.size, _format_interval(one.throughput), p99, *shares, mark))
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
    note = f"90 % intervals over the repetitions. Latencies at {recommendation.rate:.0f} a second, from the intended start."
    return Table("Sizes", columns, tuple(rows), note)


def _latency_tables(recommendation: Recommendation, results: Sequence[RunResult]) -> list[Table]:
    runs = _open_loops_by_rate(recommendation, results)
    if not runs:
        return []
    best = recommendation.rate / COMPARISON_LOAD
    rows = tuple(
        (
            f"{rate / best:.0%}",
            rate,
            _mean([one.throughput for one in some]),
            *_latencies_ms(some),
            sum(one.failed for one in some),
        )
        for rate, some in sorted(runs.items())
    )
    columns = ("of the best", "come a second", "served a second", "p50 ms", "p99 ms", "worst ms", "failed")
    return [Table("Latency against load", columns, rows, f"Pool {recommendation.knee.size}; from the intended start.")]


def _open_loops_by_rate(recommendation: Recommendation, results: Sequence[RunResult]) -> dict[float, list[RunResult]]:
    by_rate: dict[float, list[RunResult]] = {}
    for one in results:
        if one.setting == recommendation.setting and one.load.rate is not None:
            by_rate.setdefault(one.load.rate, []).append(one)
    return by_rate


def _latencies_ms(runs: Sequence[RunResult]) -> tuple[float, float, float]:
    return (
        _mean([one.p50 for one in runs]) * 1000,
        _mean([one.p99 for one in runs]) * 1000,
        max(one.worst for one in runs) * 1000,
    )


def _figures(recommendation: Recommendation, results: Sequence[RunResult]) -> list[Figure]:
    series: dict[str, list[tuple[float, float]]] = {}
    bands: dict[str, list[tuple[float, float, float]]] = {}
    each = recommendation.setting.workers
    most = recommendation.setting.threads
    series["measured"] = [(min(one.size, most) * each, one.throughput.value) for one in recommendation.candidates]
    if recommendation.fit is not None:
        last = max(at for at, _ in series["measured"])
        sizes = [1 + (last - 1) * number / CURVE_POINTS for number in range(CURVE_POINTS + 1)]
        around = [(at, recommendation.fit.band(at)) for at in sizes]
        series["the law"] = [(at, band.value) for at, band in around]
        bands["the law"] = [(at, band.low, band.high) for at, band in around]
    marks = [(min(recommendation.knee.size, most) * each, "recommended")]
    label = "connections that can be at work at once"
    drawn = [plot_lines("Throughput", label, "operations a second", series, bands=bands, markers=marks)]
    times = [
        (rate / recommendation.rate * COMPARISON_LOAD * 100, _latencies_ms(some))
        for rate, some in sorted(_open_loops_by_rate(recommendation, results).items())
    ]
    if times:
        by_name = {"p50": [(at, p50) for at, (p50, _, _) in times], "p99": [(at, p99) for at, (_, p99, _) in times]}
        title = "Latency against load"
        drawn.append(plot_lines(title, "load, % of the best throughput", "milliseconds", by_name, log_y=True))
    return drawn


def _fit_data(recommendation: Recommendation) -> Mapping[str, Any] | None:
    if recommendation.fit is None:
        return None
    named = ("rate", "contention", "coherency", "peak_at", "peak")
    intervals = {name: asdict(getattr(recommendation.fit, name)) for name in named}
    if not recommendation.fit.has_peak:
        del intervals["peak_at"]
    return {
        **intervals,
        "has_peak": recommendation.fit.has_peak,
        "misfit": recommendation.fit.misfit,
        "level": recommendation.fit.level,
    }


def _format_interval(interval: Interval, factor: float = 1.0) -> str:
    low, value, high = interval.low * factor, interval.value * factor, interval.high * factor
    return f"{value:.0f} ({low:.0f} to {high:.0f})" if high > low else f"{value:.0f}"


def _format_share(values: Sequence[float | None]) -> str | None:
    there = [value for value in values if value is not None]
    return f"{sum(there) / len(there):.0%}" if there else None


def _mean(values: Sequence[float]) -> float:
    return estimate_interval(values).value
