"""The ways to come by a connection in words, numbers and two plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from webapp.lab import plots
from webapp.lab.borrowing import DEFAULTS, OURS
from webapp.lab.drawing import Tone
from webapp.lab.habits import AGE, FEW, MANY, PATIENCE, Habits
from webapp.lab.labour import LONGEST, Done, Task
from webapp.lab.report import latency
from webapp.lab.reporting import Cell, Figure, Report, Table

MILLISECONDS = 1000.0
OVER_TIME: Mapping[str, Tone] = {"NullPool": "others", DEFAULTS: "wrong", OURS: "accent"}
"""Whose connections are drawn over time, and how."""


def report_of(
    done: Sequence[Done], habits: Mapping[str, Habits], task: Task, command: str, *, is_complete: bool
) -> Report:
    """Return the report of the ways that could be measured until then."""
    return Report(
        kind="strategies",
        title="Ways to come by a connection",
        verdict=_verdict({one.way.name: one for one in done}),
        findings=(*map(_turns, _finished(done)), *(finding for one in done if (finding := _finding(one)))),
        command=command,
        tables=(_worked(done), _habits(habits), _purposes(done)),
        figures=(_rates(done, task), _courses(done)),
        data={
            "task": asdict(task),
            "work": [_data(one) for one in done],
            "habits": {name: asdict(one) for name, one in habits.items()},
        },
        rows=tuple({"way": one.way.name, "seconds": at, "connections": n} for one in done for at, n in one.course),
        is_complete=is_complete,
    )


def _verdict(done: Mapping[str, Done]) -> str:
    sentences = []
    if DEFAULTS in done and OURS in done:
        theirs, ours = (latency(done[name].waits) for name in (DEFAULTS, OURS))
        rates = [done[name].units / done[name].seconds for name in (OURS, DEFAULTS)]
        sentences.append(
            f"Poolproof did {rates[0]:,.0f} units a second and QueuePool with its defaults {rates[1]:,.0f}; the "
            f"longest wait for a connection was {ours.worst * MILLISECONDS:,.0f} ms against "
            f"{theirs.worst * MILLISECONDS:,.0f} ms."
        )
    failing = [one.way.name for one in done.values() if one.failed]
    if failing:
        sentences.append(f"Not fit for threads on MySQL: {' and '.join(failing)}.")
    return " ".join(sentences) or "Stopped before two ways could be compared."


def _finished(done: Sequence[Done]) -> list[Done]:
    return [one for one in done if one.way.name in {DEFAULTS, OURS} and one.finished_after]


def _turns(one: Done) -> str:
    """Say how far apart threads with the same work were done."""
    first, last = min(one.finished_after), max(one.finished_after)
    manner = {
        DEFAULTS: "whoever gives back may take again before those who wait, which saves changing threads",
        OURS: "whoever waits the longest is the next",
    }[one.way.name]
    return f"{one.way.name}: {manner}; the first thread was done after {first:.2f} s, the last after {last:.2f} s."


def _finding(one: Done) -> str:
    if not one.failed and not one.was_stopped:
        return ""
    lines = [f"{one.way.name}: {one.failed:,} failures, most of them {one.worst}."] if one.failed else []
    if one.strangers:
        lines.append(f"{one.strangers:,} answers reached a thread that had not asked.")
    if one.was_stopped:
        lines.append(f"{one.way.name}: stopped after {LONGEST:.0f} s, with {one.units:,} units done.")
    return " ".join(lines)


def _worked(done: Sequence[Done]) -> Table:
    columns = (
        "way", "units a second", "connections opened", "at peak", "wait, half (ms)", "wait, 99 of 100 (ms)",
        "longest wait (ms)", "first thread done (s)", "last thread done (s)", "failures", "answers to strangers",
    )  # fmt: skip
    rows = []
    for one in done:
        waits = [value * MILLISECONDS for value in (latency(one.waits).p50, latency(one.waits).p99)]
        cells: tuple[Cell, ...] = (
            one.way.name, one.units / one.seconds, one.connects, one.peak, *waits,
            latency(one.waits).worst * MILLISECONDS, min(one.finished_after, default=None),
            max(one.finished_after, default=None), one.failed, one.strangers,
        )  # fmt: skip
        rows.append(cells)
    note = (
        "A unit is to borrow a connection, ask a short question and give it back; a connection per request is kept for "
        "three. All threads have the same to do: the further apart the first and the last are done, the less fair."
    )
    return Table("The same small work", columns, tuple(rows), note)


def _habits(habits: Mapping[str, Habits]) -> Table:
    columns = (
        "way", "open when made", "after one use", f"after {FEW} at once", f"lent of {MANY} at once", "open then",
        "open afterwards", "wait at a full pool (s)", "turned away after (s)", "old one renewed",
        "failed after one KILL", "healthy ones closed for it", "failed after a restart",
    )  # fmt: skip
    rows = tuple(
        (
            name, one.when_made, one.after_one, one.after_few, one.lent, one.open_then, one.after_many, one.waited,
            one.turned_away_after, "yes" if one.is_renewed else "no", one.failed_after_kill, one.closed_after_kill,
            one.failed_after_restart,
        )
        for name, one in habits.items()
    )  # fmt: skip
    said = next((one.turned_away for name, one in habits.items() if name == DEFAULTS), "")
    note = (
        f"Connections as the server counts them. Here the time-out is {PATIENCE:g} s and the greatest age {AGE} s; "
        "somebody gives back after 0.4 s. Ten uses follow a KILL of one of five idle connections, or of all five, as a "
        f"restart does; they had lain idle for a second. QueuePool says to the sixteenth: {said}"
    )
    return Table("Habits", columns, rows, note)


def _purposes(done: Sequence[Done]) -> Table:
    rows = tuple((one.way.name, one.way.is_for, one.worst or "none") for one in done)
    return Table("What each is for", ("way", "for", "its most frequent error here"), rows)


def _rates(done: Sequence[Done], task: Task) -> Figure:
    groups: dict[str, dict[str, float | None]] = {
        one.way.name: {"units": None if one.failed else one.units / one.seconds} for one in done
    }
    caption = (
        f"{task.threads} threads, {task.requests} requests of three units each, {task.seconds * MILLISECONDS:g} ms on "
        "the server for each. A dash: it had failures, so that its speed means nothing."
    )
    return plots.bars("How much gets done", "units of work a second", groups, caption=caption)


def _courses(done: Sequence[Done]) -> Figure:
    # Nobody had borrowed before: each begins with none.
    series = {one.way.name: [(0.0, 0), *one.course] for one in done if one.way.name in OVER_TIME}
    caption = (
        "NullPool opens one for each unit of work. QueuePool closes its overflow as soon as nobody waits, and opens it "
        "again for the next push; Poolproof's pool fills once and stays full for a while."
    )
    return plots.lines(
        "Connections on the server", "seconds", "connections", series, caption=caption, tones=OVER_TIME, dots=False
    )


def _data(one: Done) -> dict[str, Any]:
    return {
        "way": one.way.name, "seconds": one.seconds, "units": one.units, "waits": asdict(latency(one.waits)),
        "finished_after": sorted(one.finished_after), "connects": one.connects, "peak": one.peak, "errors": one.errors,
        "answers_to_strangers": one.strangers, "was_stopped": one.was_stopped,
    }  # fmt: skip
