"""The report on drills, and its lines for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from poolproof.lab.reporting.plots import Panel, plot_timeline
from poolproof.lab.reporting.report import Figure, LabReport, Table
from webapp.lab.drills.recovery import LoadHistory
from webapp.lab.drills.runner import DrillResult

COLUMNS = ("drill", "hypothesis", "verdict", "errors", "first success, s", "full rate, s", "longest wait, s")


def build_report(
    results: Sequence[DrillResult], command: str, environment: Mapping[str, str], *, is_protected: bool
) -> LabReport:
    """Return the report on these drills."""
    has_failed = any(result.verdict == "failed" for result in results)
    passed = any(result.verdict == "passed" for result in results)
    return LabReport(
        kind="drill",
        title="Drills" if is_protected else "Drills without protection",
        verdict=summarize_verdicts(results, is_protected=is_protected),
        findings=tuple(finding for result in results for finding in _findings(result)),
        command=command,
        tables=(_drill_table(results), _bounds_table(results)),
        figures=_figures(results),
        data={"protected": is_protected, "drills": [_data(result, is_protected=is_protected) for result in results]},
        rows=tuple(row for result in results for row in _rows(result)),
        is_complete=all(result.verdict != "interrupted" for result in results),
        grade="bad" if has_failed else "good" if passed else "",
        environment=environment,
    )


def summarize_verdicts(results: Sequence[DrillResult], *, is_protected: bool) -> str:
    """Return one or two sentences about all drills."""
    counts = Counter(result.verdict for result in results)
    completed = counts["passed"] + counts["failed"]
    if not completed:
        return "No drill was completed."
    failed = [result.drill.name for result in results if result.verdict == "failed"]
    sentence = f"{counts['passed']} of {completed} drills passed"
    sentence += f"; failed: {', '.join(failed)}." if failed else "."
    if not is_protected:
        sentence += " The protection that each tests was switched off on purpose."
    return sentence


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
    violated = [f"{check.bound}: {check.observed}" for check in result.checks if not check.passed]
    if violated:
        return [f"{result.drill.name} failed: {'; '.join(violated)}."]
    return []


def _drill_table(results: Sequence[DrillResult]) -> Table:
    note = (
        "First success and full rate are timed from the end of the fault's cause, or from the fault where it has none; "
        "– stands for never. A rate is full from 80 % of what it was before."
    )
    return Table("Drills", COLUMNS, tuple(map(_drill_row, results)), note)


def _drill_row(result: DrillResult) -> tuple[str | float | int | None, ...]:
    history = result.history
    first_success, full_rate = _recovery_times(result)
    errors = None if history is None else len(history.failed())
    longest_wait = None if history is None else round(history.longest_wait(), 2)
    return (result.drill.name, result.drill.hypothesis, result.verdict, errors, first_success, full_rate, longest_wait)


def _recovery_times(result: DrillResult) -> tuple[float | None, float | None]:
    if result.history is None or result.verdict == "interrupted":
        return None, None
    first_success, full_rate = result.history.time_to_first_success(), result.history.time_to_full_rate()
    return None if first_success is None else round(first_success, 3), None if full_rate is None else round(
        full_rate, 1
    )


def _bounds_table(results: Sequence[DrillResult]) -> Table:
    rows = [
        (result.drill.name, check.bound, check.observed, "holds" if check.passed else "violated")
        for result in results
        for check in result.checks
    ]
    return Table("Bounds", ("drill", "bound", "observed", "verdict"), tuple(rows))


def _figures(results: Sequence[DrillResult]) -> tuple[Figure, ...]:
    return tuple(
        _figure(result, result.history) for result in results if result.history is not None and result.history.samples
    )


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
    history = result.history
    first_success, full_rate = _recovery_times(result)
    data: dict[str, Any] = {
        "drill": result.drill.name,
        "hypothesis": result.drill.hypothesis,
        "configuration": "ours" if is_protected else result.drill.unprotected,
        "verdict": result.verdict,
        "reason": result.reason,
        "checks": [
            {"bound": check.bound, "observed": check.observed, "holds": check.passed} for check in result.checks
        ],
        "time_to_first_success": first_success,
        "time_to_full_rate": full_rate,
    }
    if history is not None:
        data |= {
            "units": len(history.samples),
            "errors": history.errors(),
            "usual_rate": round(history.usual_rate(), 1),
            "longest_wait": round(history.longest_wait(), 3),
            "longest_gap": round(history.longest_gap(), 3),
            "fault_started_at": round(history.fault_started_at - history.started_at, 3),
            "fault_ended_at": round(history.fault_ended_at - history.started_at, 3),
            "timeline": [{"at": at, "succeeded": good, "failed": bad} for at, good, bad in history.bins()],
        }
    return data


def _rows(result: DrillResult) -> list[dict[str, Any]]:
    bins = result.history.bins() if result.history is not None else []
    return [{"drill": result.drill.name, "at": at, "succeeded": good, "failed": bad} for at, good, bad in bins]
