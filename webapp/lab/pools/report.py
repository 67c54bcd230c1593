"""The report on the pools: verdict, findings, tables and two figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from poolproof.lab.reporting import plots
from poolproof.lab.reporting.latency import summarize_latency
from poolproof.lab.reporting.plot_style import Tone
from poolproof.lab.reporting.report import Cell, Figure, LabReport, Table
from webapp.lab.pools.pool_behaviour import (
    LARGE_BURST,
    MAX_AGE,
    POOL_TIMEOUT,
    SMALL_BURST,
    PoolBehaviour,
)
from webapp.lab.pools.pool_benchmark import MAX_DURATION, BenchmarkResult, BenchmarkTask
from webapp.lab.pools.pool_types import DEFAULT_QUEUE_POOL, POOLPROOF_POOL

MILLISECONDS = 1000.0
PLOTTED_TONES: Mapping[str, Tone] = {"NullPool": "others", DEFAULT_QUEUE_POOL: "wrong", POOLPROOF_POOL: "accent"}
"""Pools whose connections are drawn over time, with their colours."""


def build_report(
    results: Sequence[BenchmarkResult],
    behaviours: Mapping[str, PoolBehaviour],
    task: BenchmarkTask,
    command: str,
    *,
    is_complete: bool,
) -> LabReport:
    """Return the report on the pools that were measured."""
    return LabReport(
        kind="strategies",
        title="Ways to get a connection",
        verdict=_verdict({result.pool_type.name: result for result in results}),
        findings=(
            *map(_fairness_finding, _comparable_results(results)),
            *(finding for result in results if (finding := _error_finding(result))),
        ),
        command=command,
        tables=(_benchmark_table(results), _behaviour_table(behaviours), _purpose_table(results)),
        figures=(_throughput_figure(results, task), _connection_figure(results)),
        data={
            "task": asdict(task),
            "work": [_result_data(result) for result in results],
            "behaviour": {name: asdict(behaviour) for name, behaviour in behaviours.items()},
        },
        rows=tuple(
            {"pool": result.pool_type.name, "seconds": seconds, "connections": count}
            for result in results
            for seconds, count in result.connection_counts
        ),
        is_complete=is_complete,
    )


def _verdict(results: Mapping[str, BenchmarkResult]) -> str:
    sentences = []
    if DEFAULT_QUEUE_POOL in results and POOLPROOF_POOL in results:
        theirs, ours = results[DEFAULT_QUEUE_POOL], results[POOLPROOF_POOL]
        sentences.append(
            f"Poolproof did {ours.units / ours.seconds:,.0f} units a second and QueuePool with its defaults "
            f"{theirs.units / theirs.seconds:,.0f}; the longest wait was {_longest_wait_ms(ours):,.0f} "
            f"ms against {_longest_wait_ms(theirs):,.0f} ms."
        )
    failing = [result.pool_type.name for result in results.values() if result.failed]
    if failing:
        sentences.append(f"Not fit for threads on MySQL: {' and '.join(failing)}.")
    return " ".join(sentences) or "Stopped before two pools could be compared."


def _longest_wait_ms(result: BenchmarkResult) -> float:
    return max(result.waits, default=0.0) * MILLISECONDS


def _comparable_results(results: Sequence[BenchmarkResult]) -> list[BenchmarkResult]:
    names = {DEFAULT_QUEUE_POOL, POOLPROOF_POOL}
    return [result for result in results if result.pool_type.name in names and result.finished_after]


def _fairness_finding(result: BenchmarkResult) -> str:
    """Say how far apart threads with the same work were done."""
    order = {
        DEFAULT_QUEUE_POOL: (
            "a thread that returns a connection may check it out again before those that wait, which saves switching "
            "threads"
        ),
        POOLPROOF_POOL: "the thread that has waited longest is the next",
    }[result.pool_type.name]
    first, last = min(result.finished_after), max(result.finished_after)
    return (
        f"{result.pool_type.name}: {order}; the first thread was done after {first:.2f} s, the last after {last:.2f} s."
    )


def _error_finding(result: BenchmarkResult) -> str:
    name, sentences = result.pool_type.name, []
    if result.failed:
        sentences.append(f"{name}: {result.failed:,} failures, most of them {result.most_frequent_error}.")
        if result.wrong_answers:
            sentences.append(f"{result.wrong_answers:,} results reached a thread that had not asked for them.")
    if result.timed_out:
        sentences.append(f"{name}: stopped after {MAX_DURATION:.0f} s, with {result.units:,} units done.")
    return " ".join(sentences)


def _benchmark_table(results: Sequence[BenchmarkResult]) -> Table:
    columns = (
        "pool", "units a second", "connections opened", "at peak", "wait, half (ms)", "wait, 99 of 100 (ms)",
        "longest wait (ms)", "first thread done (s)", "last thread done (s)", "failures", "wrong results",
    )  # fmt: skip
    note = (
        "A unit is to check out a connection, run a short query and return the connection; a connection per request is "
        "kept for three. All threads have the same to do: the further apart the first and the last are done, the "
        "less fair."
    )
    return Table("The same small work", columns, tuple(map(_benchmark_row, results)), note)


def _benchmark_row(result: BenchmarkResult) -> tuple[Cell, ...]:
    waits = summarize_latency(result.waits)
    return (
        result.pool_type.name,
        result.units / result.seconds,
        result.connects,
        result.peak_connections,
        waits.p50 * MILLISECONDS,
        waits.p99 * MILLISECONDS,
        waits.worst * MILLISECONDS,
        min(result.finished_after, default=None),
        max(result.finished_after, default=None),
        result.failed,
        result.wrong_answers,
    )


def _behaviour_table(behaviours: Mapping[str, PoolBehaviour]) -> Table:
    columns = (
        "pool", "open when created", "after one use", f"after {SMALL_BURST} at once",
        f"checked out of {LARGE_BURST} at once", "open then", "open afterwards", "wait at a full pool (s)",
        "rejected after (s)", "old one replaced", "failed after one KILL", "healthy ones closed for it",
        "failed after a restart",
    )  # fmt: skip
    rows = tuple(_behaviour_row(name, behaviour) for name, behaviour in behaviours.items())
    message = behaviours[DEFAULT_QUEUE_POOL].rejection_message if DEFAULT_QUEUE_POOL in behaviours else ""
    note = (
        f"Connections as the server counts them. The time-out is {POOL_TIMEOUT:g} s and the greatest age {MAX_AGE} "
        "s; a connection is returned after 0.4 s. Ten uses follow a KILL of one of five idle ones, or of all five, "
        f"as by a restart; they had been idle for a second. QueuePool's message for the sixteenth checkout: {message}"
    )
    return Table("Behaviour", columns, rows, note)


def _behaviour_row(name: str, behaviour: PoolBehaviour) -> tuple[Cell, ...]:
    return (
        name,
        behaviour.after_creation,
        behaviour.after_one,
        behaviour.after_small_burst,
        behaviour.max_checked_out,
        behaviour.open_at_peak,
        behaviour.after_large_burst,
        behaviour.wait_when_full,
        behaviour.rejected_after,
        "yes" if behaviour.is_recycled else "no",
        behaviour.failed_after_kill,
        behaviour.closed_after_kill,
        behaviour.failed_after_restart,
    )


def _purpose_table(results: Sequence[BenchmarkResult]) -> Table:
    rows = tuple(
        (result.pool_type.name, result.pool_type.purpose, result.most_frequent_error or "none") for result in results
    )
    return Table("What each is for", ("pool", "for", "its most frequent error here"), rows)


def _throughput_figure(results: Sequence[BenchmarkResult], task: BenchmarkTask) -> Figure:
    groups: dict[str, dict[str, float | None]] = {
        result.pool_type.name: {"units": None if result.failed else result.units / result.seconds} for result in results
    }
    caption = (
        f"{task.threads} threads, {task.requests} requests of three units each, {task.seconds * MILLISECONDS:g} ms on "
        "the server for each. A dash: it had failures, so that its speed means nothing."
    )
    return plots.plot_bars("How much gets done", "units of work a second", groups, caption=caption)


def _connection_figure(results: Sequence[BenchmarkResult]) -> Figure:
    # Before the first checkout each pool has no connection.
    series = {
        result.pool_type.name: [(0.0, 0), *result.connection_counts]
        for result in results
        if result.pool_type.name in PLOTTED_TONES
    }
    caption = (
        "NullPool opens one for each unit of work. QueuePool closes its overflow as soon as no thread waits, and opens "
        "it again for the next burst; Poolproof's pool opens its connections once and keeps them for a while."
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
        "pool": result.pool_type.name,
        "seconds": result.seconds,
        "units": result.units,
        "waits": asdict(summarize_latency(result.waits)),
        "finished_after": sorted(result.finished_after),
        "connects": result.connects,
        "peak_connections": result.peak_connections,
        "errors": result.errors,
        "wrong_answers": result.wrong_answers,
        "timed_out": result.timed_out,
    }
