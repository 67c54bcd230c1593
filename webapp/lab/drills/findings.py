"""What drills have shown, as a report and as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from webapp.lab.drills.rehearsal import Result
from webapp.lab.plots import Panel, timeline
from webapp.lab.recovery import Course
from webapp.lab.reporting import Figure, Report, Table

COLUMNS = ("drill", "hypothesis", "verdict", "errors", "first success, s", "full rate, s", "longest wait, s")


def report_of(results: Sequence[Result], command: str, environment: Mapping[str, str], *, is_protected: bool) -> Report:
    """Return the report of a rehearsal."""
    has_failed = any(one.verdict == "failed" for one in results)
    passed = any(one.verdict == "passed" for one in results)
    return Report(
        kind="drill",
        title="Drills" if is_protected else "Drills without protection",
        verdict=verdict_of(results, is_protected=is_protected),
        findings=tuple(finding for one in results for finding in _findings(one)),
        command=command,
        tables=(_table(results), _bounds(results)),
        figures=_figures(results),
        data={"protected": is_protected, "drills": [_data(one, is_protected=is_protected) for one in results]},
        rows=tuple(row for one in results for row in _rows(one)),
        is_complete=all(one.verdict != "cut short" for one in results),
        grade="bad" if has_failed else "good" if passed else "",
        environment=environment,
    )


def verdict_of(results: Sequence[Result], *, is_protected: bool) -> str:
    """Return one or two sentences about all drills."""
    counts = Counter(one.verdict for one in results)
    held = counts["passed"] + counts["failed"]
    if not held:
        return "No drill was held to its end."
    failed = [one.drill.name for one in results if one.verdict == "failed"]
    said = f"{counts['passed']} of {held} drills passed"
    said += f"; failed: {', '.join(failed)}." if failed else "."
    if not is_protected:
        said += " The protection that each tests was taken away on purpose."
    return said


def as_text(report: Report) -> str:
    """Return the table for a terminal."""
    rows = [(row[0], row[2], *map(_cell, row[3:])) for row in report.tables[0].rows]
    head = f"{'drill':<14}{'verdict':<11}{'errors':>7}{'first success':>15}{'full rate':>11}{'longest wait':>14}"
    lines = [f"{row[0]:<14}{row[1]:<11}{row[2]:>7}{row[3]:>15}{row[4]:>11}{row[5]:>14}" for row in rows]
    return "\n".join([head, *lines, ""])


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} s" if isinstance(value, float) else str(value)


def _findings(result: Result) -> list[str]:
    if result.why:
        return [f"{result.drill.name} {result.verdict}: {result.why}."]
    broken = [f"{check.bound}: {check.found}" for check in result.checks if not check.holds]
    if broken:
        return [f"{result.drill.name} failed: {'; '.join(broken)}."]
    return []


def _table(results: Sequence[Result]) -> Table:
    note = (
        "First success and full rate are timed from the end of the fault's cause, or from the fault where it has none; "
        "– stands for never. A rate is full from 80 % of what it was before."
    )
    return Table("Drills", COLUMNS, tuple(_row(one) for one in results), note)


def _row(result: Result) -> tuple[str | float | int | None, ...]:
    course = result.course
    first, full = _recovery(result)
    errors = None if course is None else len(course.failed())
    longest = None if course is None else round(course.longest(), 2)
    return (result.drill.name, result.drill.hypothesis, result.verdict, errors, first, full, longest)


def _recovery(result: Result) -> tuple[float | None, float | None]:
    if result.course is None or result.verdict == "cut short":
        return None, None
    first, full = result.course.first_success(), result.course.full_rate()
    return None if first is None else round(first, 3), None if full is None else round(full, 1)


def _bounds(results: Sequence[Result]) -> Table:
    rows = [
        (one.drill.name, check.bound, check.found, "holds" if check.holds else "broken")
        for one in results
        for check in one.checks
    ]
    return Table("Bounds", ("drill", "bound", "found", "verdict"), tuple(rows))


def _figures(results: Sequence[Result]) -> tuple[Figure, ...]:
    return tuple(_figure(one, one.course) for one in results if one.course is not None and one.course.samples)


def _figure(result: Result, course: Course) -> Figure:
    bins = course.bins()
    rates = {"succeeded": [(at, good) for at, good, _ in bins], "failed": [(at, bad) for at, _, bad in bins]}
    panels = [
        Panel("ended in each 100 ms", rates, filled=True),
        Panel("slowest of them, s", {"slowest": course.slowest()}, height=0.6),
    ]
    return timeline(
        f"{result.drill.name}: {result.verdict}", "seconds", panels, marks=course.marks,
        caption=result.drill.hypothesis, tones={"succeeded": "right", "failed": "wrong", "slowest": "quiet"},
    )  # fmt: skip


def _data(result: Result, *, is_protected: bool) -> dict[str, Any]:
    course = result.course
    first, full = _recovery(result)
    found: dict[str, Any] = {
        "drill": result.drill.name,
        "hypothesis": result.drill.hypothesis,
        "configuration": "ours" if is_protected else result.drill.without,
        "verdict": result.verdict,
        "why": result.why,
        "checks": [{"bound": one.bound, "found": one.found, "holds": one.holds} for one in result.checks],
        "first_success": first,
        "full_rate": full,
    }
    if course is not None:
        found |= {
            "units": len(course.samples),
            "errors": course.errors(),
            "usual_rate": round(course.usual_rate(), 1),
            "longest": round(course.longest(), 3),
            "longest_silence": round(course.longest_silence(), 3),
            "fault": round(course.fault - course.began, 3),
            "over": round(course.over - course.began, 3),
            "time_line": [{"at": at, "succeeded": good, "failed": bad} for at, good, bad in course.bins()],
        }
    return found


def _rows(result: Result) -> list[dict[str, Any]]:
    bins = result.course.bins() if result.course is not None else []
    return [{"drill": result.drill.name, "at": at, "succeeded": good, "failed": bad} for at, good, bad in bins]
