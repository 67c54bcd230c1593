"""The report of a sweep: verdict, findings, tables, figures and settings to paste. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from poolproof.capacity.budget import FleetSize
from poolproof.lab.loadgen.load_profile import MAX_CLIENT_CPU
from poolproof.lab.reporting.plots import plot_lines
from poolproof.lab.reporting.report import Figure, LabReport, Table
from poolproof.lab.sizing.analysis import Recommendation
from poolproof.lab.sizing.measurements import RunResult
from poolproof.lab.sizing.recommendation import FittedSize, describe_littles_law, engine_settings, format_settings
from poolproof.lab.sizing.sweep import COMPARISON_LOAD
from poolproof.lab.sizing.usl import Interval, UslFit, estimate_interval

MAX_BACKGROUND_CPU = 0.2
"""Above this share of the processors other work disturbs the figures."""
CURVE_POINTS = 60


@dataclass(frozen=True)
class RunContext:
    """Circumstances of a sweep that its report states."""

    workload_title: str
    """The product's mix, or the workload's title."""
    database: str
    at: str
    command: str
    background_processes: int
    cpu_before: float | None
    """Share of this machine's processors that other work used before the sweep."""
    planned_runs: int
    is_complete: bool
    is_service: bool = True
    """Whether the settings are those of the service; otherwise they are what `create_engine` takes."""


def build_report(
    recommendation: Recommendation | None,
    fitted_size: FittedSize | None,
    results: Sequence[RunResult],
    context: RunContext,
) -> LabReport:
    """Return the report; also of a sweep that was stopped, even before anything was measured."""
    title = f"Size: {context.workload_title}"
    stopped = ""
    if not context.is_complete:
        stopped = f" Stopped after {len(results)} of {context.planned_runs} runs; this is what they show."
    if recommendation is None or fitted_size is None:
        return LabReport("size", title, f"Nothing was measured.{stopped}", (), context.command, is_complete=False)
    return LabReport(
        kind="size",
        title=title,
        verdict=_verdict(recommendation, fitted_size, context) + stopped,
        findings=tuple(_findings(recommendation, fitted_size, results, context)),
        command=context.command,
        settings=_settings(recommendation, fitted_size, context),
        tables=(_size_table(recommendation, results), *_latency_tables(recommendation, results)),
        figures=tuple(_figures(recommendation, results)),
        data={
            "recommended": recommendation_data(recommendation, fitted_size, context),
            "fit": _fit_data(recommendation.fit),
            "littles_law_ratios": recommendation.littles_law_ratios,
        },
        rows=tuple(run.as_row() for run in results),
        is_complete=context.is_complete,
    )


def _settings(recommendation: Recommendation, fitted_size: FittedSize, context: RunContext) -> str:
    if not context.is_service:
        return engine_settings(fitted_size.size)
    fleet = FleetSize(recommendation.setting.workers, recommendation.setting.threads, context.background_processes)
    return format_settings(fleet, fitted_size.size)


def recommendation_data(recommendation: Recommendation, fitted_size: FittedSize, context: RunContext) -> dict[str, Any]:
    """Return what is stored for the console, which compares the running settings with it."""
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


def _verdict(recommendation: Recommendation, fitted_size: FittedSize, context: RunContext) -> str:
    setting, knee = recommendation.setting, recommendation.knee
    name = "POOL_SIZE" if context.is_service else "pool_size"
    verdict = (
        f"{name}={fitted_size.size} for {setting.workers} × {setting.threads} threads: "
        f"{_format_interval(knee.throughput)} a second at most"
    )
    if knee.p99 is not None:
        verdict += (
            f", and p99 {_format_interval(knee.p99, 1000)} ms at {COMPARISON_LOAD:.0%} of the best "
            f"({recommendation.rate:.0f} a second)"
        )
    return f"{verdict}. What limits: {' and '.join(recommendation.bottlenecks.names)}."


def _findings(
    recommendation: Recommendation, fitted_size: FittedSize, results: Sequence[RunResult], context: RunContext
) -> Iterator[str]:
    yield from recommendation.bottlenecks.sentences
    rate = recommendation.rate or recommendation.knee.throughput.value
    # Over HTTP it is not known how long a connection is held.
    if recommendation.busy_connections:
        yield (
            f"At {rate:.0f} a second {recommendation.busy_connections:.1f} connections are busy in the mean (Little's "
            "law: arrivals × seconds that each is held); the others are for moments with more arrivals."
        )
    yield from fitted_size.sentences
    if recommendation.fit is not None:
        yield recommendation.fit.describe()
    if (ungrouped := recommendation.throughput_without_group_commit) is not None:
        ratio = recommendation.knee.throughput.value / ungrouped
        yield f"With a commit for each write instead of group commit: {ungrouped:.0f} a second, {ratio:.1f} × less."
    yield describe_littles_law(recommendation.littles_law_ratios)
    yield from _warnings(recommendation, results, context)


def _warnings(recommendation: Recommendation, results: Sequence[RunResult], context: RunContext) -> Iterator[str]:
    client_cpu = max((run.client_cpu or 0.0 for run in results), default=0.0)
    if client_cpu > MAX_CLIENT_CPU:
        yield (
            f"The load itself used {client_cpu:.0%} of a processor: it was the bottleneck, give it more --processes."
        )
    if recommendation.bottlenecks.not_observed:
        yield f"It could not tell {'; '.join(recommendation.bottlenecks.not_observed)}."
    if (context.cpu_before or 0.0) > MAX_BACKGROUND_CPU:
        yield (
            f"Before it began {context.cpu_before:.0%} of the processors were busy already: other work disturbs these "
            "figures."
        )


def _size_table(recommendation: Recommendation, results: Sequence[RunResult]) -> Table:
    columns = (
        "pool", "a second (closed loop)", "p99 ms (open loop)", "waiting for it", "processors", "by this", "row locks",
        "log flush", "",
    )  # fmt: skip
    rows = []
    for candidate in recommendation.candidates:
        setting = replace(recommendation.setting, pool=candidate.size)
        usages = [run.usage for run in results if run.setting == setting and not run.load.is_open]
        rows.append(
            (
                candidate.size,
                _format_interval(candidate.throughput),
                _format_interval(candidate.p99, 1000) if candidate.p99 else None,
                _format_share([usage.pool_share for usage in usages]),
                _format_share([usage.machine_cpu for usage in usages]),
                _format_share([usage.own_cpu for usage in usages]),
                _format_share([usage.lock_share for usage in usages]),
                _format_share([usage.flush_share for usage in usages]),
                "← recommended" if candidate.size == recommendation.knee.size else "",
            )
        )
    note = (
        "90 % intervals over the repetitions. "
        f"Latencies at {recommendation.rate:.0f} a second, from the intended start."
    )
    return Table("Sizes", columns, tuple(rows), note)


def _latency_tables(recommendation: Recommendation, results: Sequence[RunResult]) -> list[Table]:
    runs_by_rate = _open_loops_by_rate(recommendation, results)
    if not runs_by_rate:
        return []
    best = recommendation.rate / COMPARISON_LOAD
    rows = tuple(
        (
            f"{rate / best:.0%}",
            rate,
            _median([run.throughput for run in runs]),
            *_latencies_ms(runs),
            sum(run.failed for run in runs),
        )
        for rate, runs in sorted(runs_by_rate.items())
    )
    columns = ("of the best", "come a second", "served a second", "p50 ms", "p99 ms", "worst ms", "failed")
    return [Table("Latency against load", columns, rows, f"Pool {recommendation.knee.size}; from the intended start.")]


def _open_loops_by_rate(recommendation: Recommendation, results: Sequence[RunResult]) -> dict[float, list[RunResult]]:
    runs_by_rate: dict[float, list[RunResult]] = {}
    for run in results:
        if run.setting == recommendation.setting and run.load.rate is not None:
            runs_by_rate.setdefault(run.load.rate, []).append(run)
    return runs_by_rate


def _latencies_ms(runs: Sequence[RunResult]) -> tuple[float, float, float]:
    return (
        _median([run.p50 for run in runs]) * 1000,
        _median([run.p99 for run in runs]) * 1000,
        max(run.worst for run in runs) * 1000,
    )


def _figures(recommendation: Recommendation, results: Sequence[RunResult]) -> Iterator[Figure]:
    yield _throughput_figure(recommendation)
    latencies = [
        (rate / recommendation.rate * COMPARISON_LOAD * 100, _latencies_ms(runs))
        for rate, runs in sorted(_open_loops_by_rate(recommendation, results).items())
    ]
    if latencies:
        series = {
            "p50": [(load, p50) for load, (p50, _, _) in latencies],
            "p99": [(load, p99) for load, (_, p99, _) in latencies],
        }
        title = "Latency against load"
        yield plot_lines(title, "load, % of the best throughput", "milliseconds", series, log_y=True)


def _throughput_figure(recommendation: Recommendation) -> Figure:
    def connections(size: int) -> int:
        """Return how many connections can be busy at once: not more than there are threads."""
        return min(size, recommendation.setting.threads) * recommendation.setting.workers

    measured = [
        (float(connections(candidate.size)), candidate.throughput.value) for candidate in recommendation.candidates
    ]
    series = {"measured": measured}
    bands = {}
    if recommendation.fit is not None:
        last = max(size for size, _ in measured)
        sizes = [1 + (last - 1) * number / CURVE_POINTS for number in range(CURVE_POINTS + 1)]
        intervals = [(size, recommendation.fit.band(size)) for size in sizes]
        series["the law"] = [(size, interval.value) for size, interval in intervals]
        bands["the law"] = [(size, interval.low, interval.high) for size, interval in intervals]
    markers = [(connections(recommendation.knee.size), "recommended")]
    label = "connections that can be busy at once"
    return plot_lines("Throughput", label, "operations a second", series, bands=bands, markers=markers)


def _fit_data(fit: UslFit | None) -> Mapping[str, Any] | None:
    if fit is None:
        return None
    return {
        "rate": asdict(fit.rate),
        "contention": asdict(fit.contention),
        "coherency": asdict(fit.coherency),
        **({"peak_at": asdict(fit.peak_at)} if fit.has_peak else {}),
        "peak": asdict(fit.peak),
        "has_peak": fit.has_peak,
        "misfit": fit.misfit,
        "level": fit.level,
    }


def _format_interval(interval: Interval, factor: float = 1.0) -> str:
    low, value, high = interval.low * factor, interval.value * factor, interval.high * factor
    return f"{value:.0f} ({low:.0f} to {high:.0f})" if high > low else f"{value:.0f}"


def _format_share(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.0%}" if known else None


def _median(values: Sequence[float]) -> float:
    return estimate_interval(values).value
