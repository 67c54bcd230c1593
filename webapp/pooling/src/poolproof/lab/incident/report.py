"""The report of the incident: the two pools above each other. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from poolproof.lab.incident.rush import PoolKind, RushOptions, RushRequest, jain_index
from poolproof.lab.reporting.latency import summarize_latency
from poolproof.lab.reporting.plots import Panel, plot_timeline
from poolproof.lab.reporting.report import Figure, LabReport, Table

POINT_INTERVAL = 0.25
MILLISECONDS = 1000


@dataclass(frozen=True)
class RushSummary:
    """The figures of one pool."""

    served: int
    failed: int
    fairness: float
    """Jain's index over what each thread was served."""
    fewest: int
    """Requests of the thread that was served least."""
    most: int
    wait_p50: float
    wait_p99: float
    wait_worst: float
    """Also of those that failed."""
    errors: Mapping[str, int]


def summarize(requests: Sequence[RushRequest], threads: int) -> RushSummary:
    """Return the figures of one pool."""
    served = [sum(not one.error for one in requests if one.thread == number) for number in range(threads)]
    latency = summarize_latency([request.wait for request in requests])
    return RushSummary(
        served=sum(served),
        failed=sum(bool(request.error) for request in requests),
        fairness=jain_index(served),
        fewest=min(served),
        most=max(served),
        wait_p50=latency.p50,
        wait_p99=latency.p99,
        wait_worst=latency.worst,
        errors=dict(Counter(request.error for request in requests if request.error).most_common()),
    )


def build_report(
    results: Mapping[PoolKind, Sequence[RushRequest]],
    options: RushOptions,
    database: str,
    command: str,
    *,
    is_complete: bool,
) -> LabReport:
    """Return the report; also of an incident that was stopped."""
    if set(results) != set(PoolKind) or not all(results.values()):
        return LabReport("incident", "Incident", "It was stopped too early.", (), command, is_complete=False)
    summaries = {kind: summarize(results[kind], options.threads) for kind in PoolKind}
    stock, fair = summaries[PoolKind.STOCK], summaries[PoolKind.FAIR]
    limit = options.pool_size + options.max_overflow
    return LabReport(
        kind="incident",
        title=f"Incident: {options.threads} threads on {limit} connections",
        verdict=(
            f"{_describe(PoolKind.STOCK, stock)}; {_describe(PoolKind.FAIR, fair)}. The code, the connections and the "
            "server were the same."
        ),
        findings=tuple(_findings(stock, fair, results)),
        command=command,
        settings="engine = poolproof.adopt(create_engine(…))\n",
        tables=(_pool_table(summaries),),
        figures=tuple(_figure(kind, results[kind]) for kind in PoolKind),
        data={kind.name.lower(): _as_data(summary) for kind, summary in summaries.items()} | {"database": database},
        is_complete=is_complete,
        grade="bad" if fair.failed else "good",
    )


def _as_data(summary: RushSummary) -> dict[str, Any]:
    return asdict(summary)


def _describe(kind: PoolKind, summary: RushSummary) -> str:
    failures = f"{summary.failed} requests failed" if summary.failed else "no request failed"
    return f"{kind.value}: {failures}, {summary.served} were served, Jain's index {summary.fairness:.3f}"


def _findings(
    stock: RushSummary, fair: RushSummary, results: Mapping[PoolKind, Sequence[RushRequest]]
) -> Iterator[str]:
    if (first := next((request for request in results[PoolKind.STOCK] if request.error), None)) is not None:
        yield f"The first error of SQLAlchemy's pool, after {first.ended_at:.1f} s: {first.message}"
    yield (
        f"Served least and most of all threads: {stock.fewest} and {stock.most} with SQLAlchemy's pool, {fair.fewest} "
        f"and {fair.most} with poolproof's, which lends in the order in which threads have asked."
    )
    yield (
        f"The longest wait for a connection: {stock.wait_worst * MILLISECONDS:.0f} ms with SQLAlchemy's pool, "
        f"{fair.wait_worst * MILLISECONDS:.0f} ms with poolproof's."
    )
    if fair.failed:
        yield (
            "With poolproof's pool requests failed as well: there is more to do than so many connections can, in "
            "whatever order. `lab size` says how many are needed."
        )


def _pool_table(summaries: Mapping[PoolKind, RushSummary]) -> Table:
    columns = (
        "pool", "served", "failed", "Jain's index", "least of a thread", "most of a thread", "wait p50 ms", "p99 ms",
        "worst ms",
    )  # fmt: skip
    rows = tuple(
        (
            kind.value,
            one.served,
            one.failed,
            one.fairness,
            one.fewest,
            one.most,
            one.wait_p50 * MILLISECONDS,
            one.wait_p99 * MILLISECONDS,
            one.wait_worst * MILLISECONDS,
        )
        for kind, one in summaries.items()
    )
    return Table("The two pools", columns, rows, "Waits of requests that failed are counted, too.")


def _figure(kind: PoolKind, requests: Sequence[RushRequest]) -> Figure:
    end = requests[-1].ended_at
    moments = [number * POINT_INTERVAL for number in range(int(end / POINT_INTERVAL) + 2)]
    started = sorted(request.started_at for request in requests)
    lent = sorted(request.started_at + request.wait for request in requests)
    served = [request.ended_at for request in requests if not request.error]
    failed = [request.ended_at for request in requests if request.error]
    waiting = [(moment, float(bisect_right(started, moment) - bisect_right(lent, moment))) for moment in moments]
    panels = [
        Panel("threads that wait", {"waiting": waiting}, filled=True),
        Panel(
            "requests so far",
            {
                "served": [(moment, float(bisect_right(served, moment))) for moment in moments],
                "failed": [(moment, float(bisect_right(failed, moment))) for moment in moments],
            },
        ),
    ]
    return plot_timeline(kind.value, "seconds", panels)
