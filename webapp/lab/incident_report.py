"""The incident in words, numbers and one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from webapp.lab import plots
from webapp.lab.drawing import Tone
from webapp.lab.incident import DOCUMENTED, OURS, WORKERS, Side, Wish
from webapp.lab.moments import Moment, errors_by_kind, kind_of
from webapp.lab.plots import Panel
from webapp.lab.reporting import Cell, Figure, Report, Table

SHORT = {DOCUMENTED: "defaults", OURS: "Poolproof"}
TONES: Mapping[str, Tone] = {DOCUMENTED: "wrong", OURS: "accent"}


def report_of(sides: Sequence[Side], wish: Wish, command: str) -> Report:
    """Return the report; of one service only when the run was stopped before the other's turn."""
    is_complete = len(sides) == len(SHORT) and all(side.is_complete for side in sides)
    return Report(
        kind="incident",
        title=f"{wish.users:,} people open one quiz within {_seconds(wish.within)}",
        verdict=" ".join(_sentence(side) for side in sides),
        findings=tuple(finding for side in sides for finding in _findings(side, wish)),
        command=command,
        tables=(_numbers(sides), *(_errors(side) for side in sides if side.errors)),
        figures=(picture(sides, wish),),
        data={"wish": asdict(wish), "services": [_data(side) for side in sides]},
        rows=tuple(row for side in sides for row in _rows(side)),
        is_complete=is_complete,
        grade="good" if is_complete and is_well(sides[-1]) else "bad",
    )


def is_well(side: Side) -> bool:
    """Whether everybody came through without one error, and nothing acknowledged was lost."""
    found = side.summary
    return not side.errors and found.done == found.users and found.proof is not None and found.proof.holds


def picture(sides: Sequence[Side], wish: Wish) -> Figure:
    """Draw both courses over each other, second by second; what matters of each line stands at its end."""
    tones: dict[str, Tone] = {}

    def panel(label: str, value: Callable[[Moment], float | None], ends: Callable[[Side], str], **look: Any) -> Panel:
        series = {}
        for side in sides:
            name = f"{SHORT[side.title]}: {ends(side)}"
            series[name] = [(one.at, found) for one in side.moments if (found := value(one)) is not None]
            tones[name] = TONES[side.title]
        return Panel(label, series, **look)

    panels = [
        panel("requests waiting", lambda one: one.waiting, _through, filled=True, height=1.25),
        panel("errors so far", lambda one: one.failed, lambda side: f"{side.errors:,}", filled=True),
        panel("connections on the server", lambda one: one.connections, lambda side: f"at most {side.connections}"),
        panel("answered in a second", lambda one: one.a_second, _rate),
    ]
    caption = (
        f"One push of {wish.users:,} people, at each service in turn, on one MySQL. A line ends when the last one is "
        "through, or when nobody is waited for any longer."
    )
    return plots.timeline(
        "What happened, second by second", "seconds since the push", panels, caption=caption, tones=tones
    )


def _through(side: Side) -> str:
    return f"all through, {side.summary.seconds:.0f} s" if _all_through(side) else f"{_lost(side):,} gave up"


def _rate(side: Side) -> str:
    return f"{sum(one.a_second for one in side.moments) / len(side.moments):,.0f} on average"


def _lost(side: Side) -> int:
    return side.summary.users - side.summary.done


def _all_through(side: Side) -> bool:
    return side.summary.done == side.summary.users


def _sentence(side: Side) -> str:
    found = side.summary
    if side.title == OURS and is_well(side):
        return (
            f"With Poolproof on the same MySQL all {found.users:,} came through in {found.seconds:.1f} s "
            f"on {side.connections} connections, without one error."
        )
    name = "Flask-SQLAlchemy's defaults" if side.title == DOCUMENTED else "Poolproof"
    people = "all" if _all_through(side) else f"{found.done:,} of {found.users:,} people"
    if not side.errors:
        return f"With {name} {people} came through in {found.seconds:.0f} s, without an error."
    share = "all" if len(side.messages) == side.errors else f"{len(side.messages):,}"
    said = f", {share} of them with “QueuePool limit … reached”" if side.messages else ""
    return f"With {name} {people} came through in {found.seconds:.0f} s; {side.errors:,} requests failed{said}."


def _findings(side: Side, wish: Wish) -> list[str]:
    name, found = SHORT[side.title], side.summary
    opened = found.steps["open"]
    lines = [
        f"{name}: the quiz was open after {opened.p50:.2f} s for one half, {opened.p99:.2f} s for 99 of 100 people."
    ]
    if side.title == DOCUMENTED:
        said = f" It said: {side.messages[0]}." if side.messages else ""
        lines.append(f"{name}: Gunicorn with {WORKERS} × {wish.threads} threads.{said}")
    if found.proof is not None:
        verdict = "every one is stored as it was" if found.proof.holds else "NOT all of them are stored as they were"
        lines.append(f"{name}: {found.proof.answers:,} answers were acknowledged and read back; {verdict}.")
    if found.client_was_the_bottleneck:
        lines.append(f"{name}: the load itself had too little of the machine; believe the ratio, not the seconds.")
    if not side.is_complete:
        lines.append(f"{name}: stopped before all were through.")
    return lines


def _numbers(sides: Sequence[Side]) -> Table:
    def row(words: str, *cells: Cell) -> tuple[Cell, ...]:
        return (words, *cells)

    found = [side.summary for side in sides]
    rows = [
        row("people", *(one.users for one in found)),
        row("came through", *(one.done for one in found)),
        row("until the last had ended (s)", *(one.seconds for one in found)),
        row("tries that failed", *(side.errors for side in sides)),
        row("QueuePool's message in the log", *(len(side.messages) for side in sides)),
        row("connections at peak", *(side.connections for side in sides)),
        row("requests", *(one.requests for one in found)),
        row("most requests waiting", *(max(one.waiting for one in side.moments) for side in sides)),
    ]
    for step in ("open", "answer", "finish", "board"):
        rows += [
            row(f"{step}, half of them within (s)", *(one.steps[step].p50 for one in found)),
            row(f"{step}, 99 of 100 within (s)", *(one.steps[step].p99 for one in found)),
        ]
    note = "Seconds from the moment at which a step was meant to begin, tries again included."
    return Table("In numbers", ("", *(side.title for side in sides)), tuple(rows), note)


def _errors(side: Side) -> Table:
    rows = []
    for kind, count in errors_by_kind(side.samples).items():
        when = [one.came_back for one in side.samples if kind_of(one) == kind]
        rows.append((kind, count, min(when, default=None), max(when, default=None)))
    return Table(f"Errors: {side.title}", ("error", "times", "first after (s)", "last after (s)"), tuple(rows))


def _data(side: Side) -> dict[str, Any]:
    return {
        "service": side.title,
        "summary": side.summary.as_json(),
        "errors": errors_by_kind(side.samples),
        "queuepool_messages": len(side.messages),
        "message": side.messages[0] if side.messages else None,
        "connections_at_peak": side.connections,
        "is_complete": side.is_complete,
    }


def _rows(side: Side) -> list[dict[str, Any]]:
    return [
        {
            "service": side.title, "seconds": one.at, "waiting": one.waiting, "errors": one.failed,
            "connections": one.connections, "answered_a_second": one.a_second,
        }
        for one in side.moments
    ]  # fmt: skip


def requests(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """Return every try of both services, for a table of its own beside the report."""
    return [
        {
            "service": side.title, "step": one.step, "began": round(one.began, 4), "ended": round(one.came_back, 4),
            "result": one.ended, "words": one.words,
        }
        for side in sides
        for one in side.samples
    ]  # fmt: skip


def _seconds(seconds: float) -> str:
    return "a second" if seconds == 1 else f"{seconds:g} seconds"
