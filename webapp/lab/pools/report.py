"""The ways to come by a connection in words, numbers and two plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from webapp.lab.pools.pool_behaviour import (
    LARGE_BURST,
    MAX_AGE,
    POOL_TIMEOUT,
    SMALL_BURST,
    PoolBehaviour,
)
from webapp.lab.pools.pool_benchmark import MAX_DURATION, BenchmarkResult, BenchmarkTask
from webapp.lab.pools.pool_types import DEFAULT_QUEUE_POOL, POOLPROOF_POOL
from webapp.lab.push.push_report import summarize_latency
from webapp.lab.reporting import plots
from webapp.lab.reporting.plot_style import Tone
from webapp.lab.reporting.report import Cell, Figure, LabReport, Table

MILLISECONDS = 1000.0
PLOTTED_TONES: Mapping[str, Tone] = {"NullPool": "others", DEFAULT_QUEUE_POOL: "wrong", POOLPROOF_POOL: "accent"}
"""Whose connections are drawn over time, and how."""


def build_report(
    results: Sequence[BenchmarkResult],
    behaviours: Mapping[str, PoolBehaviour],
    task: BenchmarkTask,
    command: str,
    *,
    is_complete: bool,
) -> LabReport:
    """Return the report of the ways that could be measured until then."""
    return LabReport(
        kind="strategies",
        title="Ways to come by a connection",
        verdict=_verdict({one.pool_type.name: one for one in results}),
        findings=(
            *map(_fairness_finding, _comparable_results(results)),
            *(finding for one in results if (finding := _error_finding(one))),
        ),
        command=command,
        tables=(_benchmark_table(results), _behaviour_table(behaviours), _purpose_table(results)),
        figures=(_throughput_figure(results, task), _connection_figure(results)),
        data={
            "task": asdict(task),
            "work": [_result_data(one) for one in results],
            "habits": {name: asdict(one) for name, one in behaviours.items()},
        },
        rows=tuple(
            {"way": one.pool_type.name, "seconds": at, "connections": n}
            for one in results
            for at, n in one.connection_counts
        ),
        is_complete=is_complete,
    )


def _verdict(results: Mapping[str, BenchmarkResult]) -> str:
    sentences = []
    if DEFAULT_QUEUE_POOL in results and POOLPROOF_POOL in results:
        theirs, ours = (summarize_latency(results[name].waits) for name in (DEFAULT_QUEUE_POOL, POOLPROOF_POOL))
        rates = [results[name].units / results[name].seconds for name in (POOLPROOF_POOL, DEFAULT_QUEUE_POOL)]
        sentences.append(
            f"Poolproof did {rates[0]:,.0f} units a second and QueuePool with its defaults {rates[1]:,.0f}; the "
            f"longest wait for a connection was {ours.worst * MILLISECONDS:,.0f} ms against "
            f"{theirs.worst * MILLISECONDS:,.0f} ms."
        )
    failing = [one.pool_type.name for one in results.values() if one.failed]
    if failing:
        sentences.append(f"Not fit for threads on MySQL: {' and '.join(failing)}.")
    return " ".join(sentences) or "Stopped before two ways could be compared."


def _comparable_results(results: Sequence[BenchmarkResult]) -> list[BenchmarkResult]:
    return [one for one in results if one.pool_type.name in {DEFAULT_QUEUE_POOL, POOLPROOF_POOL} and one.finished_after]


def _fairness_finding(result: BenchmarkResult) -> str:
    """Say how far apart threads with the same work were done."""
    first, last = min(result.finished_after), max(result.finished_after)
    manner = {
        DEFAULT_QUEUE_POOL: "whoever gives back may take again before those who wait, which saves changing threads",
        POOLPROOF_POOL: "whoever waits the longest is the next",
    }[result.pool_type.name]
    return f"{result.pool_type.name}: {manner}; the first thread was done after {first:.2f} s, the last after {last:.2f} s."


def _error_finding(result: BenchmarkResult) -> str:
    if not result.failed and not result.timed_out:
        return ""
    lines = (
        [f"{result.pool_type.name}: {result.failed:,} failures, most of them {result.most_frequent_error}."]
        if result.failed
        else []
    )
    if result.wrong_answers:
        lines.append(f"{result.wrong_answers:,} answers reached a thread that had not asked.")
    if result.timed_out:
        lines.append(f"{result.pool_type.name}: stopped after {MAX_DURATION:.0f} s, with {result.units:,} units done.")
    return " ".join(lines)


def _benchmark_table(results: Sequence[BenchmarkResult]) -> Table:
    columns = (
        "way", "units a second", "connections opened", "at peak", "wait, half (ms)", "wait, 99 of 100 (ms)",
        "longest wait (ms)", "first thread done (s)", "last thread done (s)", "failures", "answers to strangers",
    )  # fmt: skip
    rows = []
    for one in results:
        waits = [value * MILLISECONDS for value in (summarize_latency(one.waits).p50, summarize_latency(one.waits).p99)]
        cells: tuple[Cell, ...] = (
            one.pool_type.name, one.units / one.seconds, one.connects, one.peak_connections, *waits,
            summarize_latency(one.waits).worst * MILLISECONDS, min(one.finished_after, default=None),
            max(one.finished_after, default=None), one.failed, one.wrong_answers,
        )  # fmt: skip
        rows.append(cells)
    note = (
        "A unit is to borrow a connection, ask a short question and give it back; a connection per request is kept for "
        "three. All threads have the same to do: the further apart the first and the last are done, the less fair."
    )
    return Table("The same small work", columns, tuple(rows), note)


def _behaviour_table(behaviours: Mapping[str, PoolBehaviour]) -> Table:
    columns = (
        "way", "open when made", "after one use", f"after {SMALL_BURST} at once", f"lent of {LARGE_BURST} at once", "open then",
        "open afterwards", "wait at a full pool (s)", "rejected after (s)", "old one renewed",
        "failed after one KILL", "healthy ones closed for it", "failed after a restart",
    )  # fmt: skip
    rows = tuple(
        (
            name, one.after_creation, one.after_one, one.after_small_burst, one.max_checked_out, one.open_at_peak, one.after_large_burst, one.wait_when_full,
            one.rejected_after, "yes" if one.is_recycled else "no", one.failed_after_kill, one.closed_after_kill,
            one.failed_after_restart,
        )
        for name, one in behaviours.items()
    )  # fmt: skip
    said = next((one.rejection_message for name, one in behaviours.items() if name == DEFAULT_QUEUE_POOL), "")
    note = (
        f"Connections as the server counts them. Here the time-out is {POOL_TIMEOUT:g} s and the greatest age {MAX_AGE} s; "
        "somebody gives back after 0.4 s. Ten uses follow a KILL of one of five idle connections, or of all five, as a "
        f"restart does; they had lain idle for a second. QueuePool says to the sixteenth: {said}"
    )
    return Table("Habits", columns, rows, note)


def _purpose_table(results: Sequence[BenchmarkResult]) -> Table:
    rows = tuple((one.pool_type.name, one.pool_type.purpose, one.most_frequent_error or "none") for one in results)
    return Table("What each is for", ("way", "for", "its most frequent error here"), rows)


def _throughput_figure(results: Sequence[BenchmarkResult], task: BenchmarkTask) -> Figure:
    groups: dict[str, dict[str, float | None]] = {
        one.pool_type.name: {"units": None if one.failed else one.units / one.seconds} for one in results
    }
    caption = (
        f"{task.threads} threads, {task.requests} requests of three units each, {task.seconds * MILLISECONDS:g} ms on "
        "the server for each. A dash: it had failures, so that its speed means nothing."
    )
    return plots.plot_bars("How much gets done", "units of work a second", groups, caption=caption)


def _connection_figure(results: Sequence[BenchmarkResult]) -> Figure:
    # Nobody had borrowed before: each begins with none.
    series = {
        one.pool_type.name: [(0.0, 0), *one.connection_counts] for one in results if one.pool_type.name in PLOTTED_TONES
    }
    caption = (
        "NullPool opens one for each unit of work. QueuePool closes its overflow as soon as nobody waits, and opens it "
        "again for the next push; Poolproof's pool fills once and stays full for a while."
    )
    return plots.plot_lines(
        "Connections on the server",
        "seconds",
        "connections",
        series,
        caption=caption,
        tones=PLOTTED_TONES,
        show_points=False,
    )


def _result_data(result: BenchmarkResult) -> dict[str, Any]:
    return {
        "way": result.pool_type.name, "seconds": result.seconds, "units": result.units, "waits": asdict(summarize_latency(result.waits)),
        "finished_after": sorted(result.finished_after), "connects": result.connects, "peak": result.peak_connections, "errors": result.errors,
        "answers_to_strangers": result.wrong_answers, "timed_out": result.timed_out,
    }  # fmt: skip
