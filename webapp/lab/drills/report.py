"""What drills have shown, as a report and as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from webapp.lab.drills.recovery import LoadHistory
from webapp.lab.drills.runner import DrillResult
from webapp.lab.reporting.plots import Panel, plot_timeline
from webapp.lab.reporting.report import Figure, LabReport, Table

COLUMNS = ("drill", "hypothesis", "verdict", "errors", "first success, s", "full rate, s", "longest wait, s")


def build_report(
    results: Sequence[DrillResult], command: str, environment: Mapping[str, str], *, is_protected: bool
) -> LabReport:
    """Return the report of a rehearsal."""
    has_failed = any(one.verdict == "failed" for one in results)
    passed = any(one.verdict == "passed" for one in results)
    return LabReport(
        kind="drill",
        title="Drills" if is_protected else "Drills without protection",
        verdict=summarize_verdicts(results, is_protected=is_protected),
        findings=tuple(finding for one in results for finding in _findings(one)),
        command=command,
        tables=(_drill_table(results), _bounds_table(results)),
        figures=_figures(results),
        data={"protected": is_protected, "drills": [_data(one, is_protected=is_protected) for one in results]},
        rows=tuple(row for one in results for row in _rows(one)),
        is_complete=all(one.verdict != "cut short" for one in results),
        grade="bad" if has_failed else "good" if passed else "",
        environment=environment,
    )


def summarize_verdicts(results: Sequence[DrillResult], *, is_protected: bool) -> str:
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


def as_text(report: LabReport) -> str:
    """Return the table for a terminal."""
    rows = [(row[0], row[2], *map(_format_cell, row[3:])) for row in report.tables[0].rows]
    head = f"{'drill':<14}{'verdict':<11}{'errors':>7}{'first success':>15}{'full rate':>11}{'longest wait':>14}"
    lines = [f"{row[0]:<14}{row[1]:<11}{row[2]:>7}{row[3]:>15}{row[4]:>11}{row[5]:>14}" for row in rows]
    return "\n".join([head, *lines, ""])


def _format_cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} s" if isinstance(value, float) else str(value)


def _findings(result: DrillResult) -> list[str]:
    if result.reason:
        return [f"{result.drill.name} {result.verdict}: {result.reason}."]
    broken = [f"{check.bound}: {check.observed}" for check in result.checks if not check.passed]
    if broken:
        return [f"{result.drill.name} failed: {'; '.join(broken)}."]
    return []


def _drill_table(results: Sequence[DrillResult]) -> Table:
    note = (
        "First success and full rate are timed from the end of the fault's cause, or from the fault where it has none; "
        "– stands for never. A rate is full from 80 % of what it was before."
    )
    return Table("Drills", COLUMNS, tuple(_drill_row(one) for one in results), note)


def _drill_row(result: DrillResult) -> tuple[str | float | int | None, ...]:
    course = result.history
    first, full = _recovery_times(result)
    errors = None if course is None else len(course.failed())
    longest = None if course is None else round(course.longest_wait(), 2)
    return (result.drill.name, result.drill.hypothesis, result.verdict, errors, first, full, longest)


def _recovery_times(result: DrillResult) -> tuple[float | None, float | None]:
    if result.history is None or result.verdict == "cut short":
        return None, None
    first, full = result.history.time_to_first_success(), result.history.time_to_full_rate()
    return None if first is None else round(first, 3), None if full is None else round(full, 1)


def _bounds_table(results: Sequence[DrillResult]) -> Table:
    rows = [
        (one.drill.name, check.bound, check.observed, "holds" if check.passed else "broken")
        for one in results
        for check in one.checks
    ]
    return Table("Bounds", ("drill", "bound", "found", "verdict"), tuple(rows))


def _figures(results: Sequence[DrillResult]) -> tuple[Figure, ...]:
    return tuple(_figure(one, one.history) for one in results if one.history is not None and one.history.samples)


def _figure(result: DrillResult, history: LoadHistory) -> Figure:
    bins = history.bins()
    rates = {"succeeded": [(at, good) for at, good, _ in bins], "failed": [(at, bad) for at, _, bad in bins]}
    panels = [
        Panel("ended in each 100 ms", rates, filled=True),
        Panel("slowest of them, s", {"slowest": history.slowest_per_bin()}, height=0.6),
    ]
    return plot_timeline(
        f"{result.drill.name}: {result.verdict}", "seconds", panels, markers=history.markers,
        caption=result.drill.hypothesis, tones={"succeeded": "right", "failed": "wrong", "slowest": "quiet"},
    )  # fmt: skip


def _data(result: DrillResult, *, is_protected: bool) -> dict[str, Any]:
    course = result.history
    first, full = _recovery_times(result)
    found: dict[str, Any] = {
        "drill": result.drill.name,
        "hypothesis": result.drill.hypothesis,
        "configuration": "ours" if is_protected else result.drill.unprotected,
        "verdict": result.verdict,
        "why": result.reason,
        "checks": [{"bound": one.bound, "found": one.observed, "holds": one.passed} for one in result.checks],
        "time_to_first_success": first,
        "time_to_full_rate": full,
    }
    if course is not None:
        found |= {
            "units": len(course.samples),
            "errors": course.errors(),
            "usual_rate": round(course.usual_rate(), 1),
            "longest": round(course.longest_wait(), 3),
            "longest_gap": round(course.longest_gap(), 3),
            "fault": round(course.fault_started_at - course.started_at, 3),
            "over": round(course.fault_ended_at - course.started_at, 3),
            "time_line": [{"at": at, "succeeded": good, "failed": bad} for at, good, bad in course.bins()],
        }
    return found


def _rows(result: DrillResult) -> list[dict[str, Any]]:
    bins = result.history.bins() if result.history is not None else []
    return [{"drill": result.drill.name, "at": at, "succeeded": good, "failed": bad} for at, good, bad in bins]
