"""The report of a load: how fast each request was, what failed, and how many connections can be of use. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from poolproof.lab.loadgen.load_profile import MAX_CLIENT_CPU
from poolproof.lab.reporting.latency import summarize_latency
from poolproof.lab.reporting.plots import Panel, plot_timeline
from poolproof.lab.reporting.report import Cell, Figure, LabReport, Table
from poolproof.lab.scenario.description import Scenario
from poolproof.lab.scenario.load_processes import LoadResult
from poolproof.lab.scenario.visitor import RequestSample

POINT_INTERVAL = 0.5
"""Seconds between two points of the figure."""
MILLISECONDS = 1000
MAX_ROWS = 20_000
"""Requests that the report lists one by one; of more, every second, third … is listed."""


@dataclass(frozen=True)
class LoadContext:
    """Circumstances of a load that its report states."""

    scenario: Scenario
    address: str
    command: str


def build_report(result: LoadResult, context: LoadContext) -> LabReport:
    """Return the report; also of a load that was stopped."""
    samples = sorted(result.samples, key=lambda sample: sample.end)
    title = f"Load: {context.scenario.title}"
    if not samples:
        return LabReport("load", title, "Nothing was measured.", (), context.command, is_complete=False)
    wrong = [sample for sample in samples if not sample.is_right]
    seconds = samples[-1].end - result.starts_at
    return LabReport(
        kind="load",
        title=title,
        verdict=_verdict(samples, wrong, seconds) + ("" if result.is_complete else " It was stopped early."),
        findings=tuple(_findings(samples, wrong, seconds, result.client_cpu)),
        command=context.command,
        tables=(_request_table(samples), *_error_tables(wrong)),
        figures=(_figure(samples, result.starts_at, seconds),),
        data={
            "address": context.address,
            "requests": len(samples),
            "wrong": len(wrong),
            "seconds": seconds,
            "requests_per_second": len(samples) / seconds,
            "latency": asdict(summarize_latency([sample.seconds for sample in samples])),
            "under_way": mean_under_way(samples, seconds),
            "errors": dict(Counter(sample.result for sample in wrong)),
            "client_cpu": result.client_cpu,
        },
        rows=tuple(
            {**asdict(sample), "intended_start": sample.intended_start - result.starts_at}
            for sample in samples[:: math.ceil(len(samples) / MAX_ROWS)]
        ),
        is_complete=result.is_complete,
        grade="bad" if wrong else "good",
    )


def mean_under_way(samples: Sequence[RequestSample], seconds: float) -> float:
    """Return how many requests were under way at once in the mean (Little's law): arrivals × response time."""
    return sum(sample.seconds for sample in samples) / seconds


def _verdict(samples: Sequence[RequestSample], wrong: Sequence[RequestSample], seconds: float) -> str:
    latency = summarize_latency([sample.seconds for sample in samples if sample.is_right])
    failures = f"{len(wrong)} of them failed" if wrong else "none of them failed"
    return (
        f"{len(samples)} requests in {seconds:.1f} s, {len(samples) / seconds:.0f} a second; {failures}. "
        f"p50 {latency.p50 * MILLISECONDS:.0f} ms, p99 {latency.p99 * MILLISECONDS:.0f} ms, "
        f"worst {latency.worst * MILLISECONDS:.0f} ms."
    )


def _findings(
    samples: Sequence[RequestSample], wrong: Sequence[RequestSample], seconds: float, client_cpu: float
) -> Iterator[str]:
    under_way = mean_under_way(samples, seconds)
    yield (
        f"{under_way:.1f} requests were under way at once in the mean (Little's law: requests a second × seconds that "
        "each takes). A request holds one connection at most, so at this load pools of all processes together of more "
        f"than {math.ceil(under_way)} are for moments with more arrivals."
    )
    for kind, count in Counter((sample.request, sample.result) for sample in wrong).most_common(5):
        yield f"{count} × {kind[0]}: {kind[1]}."
    if client_cpu > MAX_CLIENT_CPU:
        yield (
            f"The load itself used {client_cpu:.0%} of a processor: it was the bottleneck, give it more --processes."
        )


def _request_table(samples: Sequence[RequestSample]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(sample.request for sample in samples):
        own = [sample for sample in samples if sample.request == name]
        right = summarize_latency([sample.seconds for sample in own if sample.is_right])
        times = tuple(value * MILLISECONDS for value in (right.p50, right.p95, right.p99, right.worst))
        rows.append((name, len(own), len(own) - right.count, *times))
    columns = ("request", "sent", "failed", "p50 ms", "p95 ms", "p99 ms", "worst ms")
    return Table("Requests", columns, tuple(rows), "Times are of those that succeeded, from the intended start.")


def _error_tables(wrong: Sequence[RequestSample]) -> Iterator[Table]:
    if wrong:
        counts = Counter((sample.request, sample.result) for sample in wrong).most_common()
        rows = tuple((request, result, count) for (request, result), count in counts)
        yield Table("What failed", ("request", "result", "times"), rows)


def _figure(samples: Sequence[RequestSample], starts_at: float, seconds: float) -> Figure:
    begun = sorted(sample.intended_start - starts_at for sample in samples)
    ended = sorted(sample.end - starts_at for sample in samples)
    failed = sorted(sample.end - starts_at for sample in samples if not sample.is_right)
    moments = [number * POINT_INTERVAL for number in range(int(seconds / POINT_INTERVAL) + 2)]

    def rate(times: Sequence[float], moment: float) -> float:
        return (bisect_right(times, moment) - bisect_right(times, moment - POINT_INTERVAL)) / POINT_INTERVAL

    waiting = [(moment, float(bisect_right(begun, moment) - bisect_right(ended, moment))) for moment in moments]
    rates = {
        "all": [(now, rate(ended, now)) for now in moments],
        "failed": [(now, rate(failed, now)) for now in moments],
    }
    panels = [Panel("requests under way", {"under way": waiting}, filled=True), Panel("responses a second", rates)]
    return plot_timeline("The course of it", "seconds", panels)
