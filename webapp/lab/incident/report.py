"""The incident in words, numbers and one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from webapp.lab.incident.runner import NAIVE_APP, POOLPROOF_SERVICE, WORKERS, IncidentOptions, ServiceRun
from webapp.lab.incident.timeline import TimelinePoint, error_kind, errors_by_kind
from webapp.lab.reporting import plots
from webapp.lab.reporting.plot_style import Tone
from webapp.lab.reporting.plots import Panel
from webapp.lab.reporting.report import Cell, Figure, LabReport, Table

SHORT_NAMES = {NAIVE_APP: "defaults", POOLPROOF_SERVICE: "Poolproof"}
TONES: Mapping[str, Tone] = {NAIVE_APP: "wrong", POOLPROOF_SERVICE: "accent"}


def build_report(runs: Sequence[ServiceRun], options: IncidentOptions, command: str) -> LabReport:
    """Return the report; of one service only when the run was stopped before the other's turn."""
    is_complete = len(runs) == len(SHORT_NAMES) and all(side.is_complete for side in runs)
    return LabReport(
        kind="incident",
        title=f"{options.users:,} people open one quiz within {_format_seconds(options.ramp)}",
        verdict=" ".join(_verdict_sentence(side) for side in runs),
        findings=tuple(finding for side in runs for finding in _findings(side, options)),
        command=command,
        tables=(_summary_table(runs), *(_error_table(side) for side in runs if side.error_count)),
        figures=(timeline_figure(runs, options),),
        data={"wish": asdict(options), "services": [_run_data(side) for side in runs]},
        rows=tuple(row for side in runs for row in _timeline_rows(side)),
        is_complete=is_complete,
        grade="good" if is_complete and is_flawless(runs[-1]) else "bad",
    )


def is_flawless(run: ServiceRun) -> bool:
    """Whether everybody came through without one error, and nothing acknowledged was lost."""
    found = run.summary
    return not run.error_count and found.done == found.users and found.proof is not None and found.proof.is_intact


def timeline_figure(runs: Sequence[ServiceRun], options: IncidentOptions) -> Figure:
    """Draw both courses over each other, second by second; what matters of each line stands at its end."""
    tones: dict[str, Tone] = {}

    def panel(
        label: str, value: Callable[[TimelinePoint], float | None], ends: Callable[[ServiceRun], str], **look: Any
    ) -> Panel:
        series = {}
        for side in runs:
            name = f"{SHORT_NAMES[side.title]}: {ends(side)}"
            series[name] = [(one.at, found) for one in side.timeline if (found := value(one)) is not None]
            tones[name] = TONES[side.title]
        return Panel(label, series, **look)

    panels = [
        panel("requests waiting", lambda one: one.waiting, _completion_label, filled=True, height=1.25),
        panel("errors so far", lambda one: one.error_count, lambda side: f"{side.error_count:,}", filled=True),
        panel(
            "connections on the server", lambda one: one.connections, lambda side: f"at most {side.peak_connections}"
        ),
        panel("answered in a second", lambda one: one.response_rate, _rate_label),
    ]
    caption = (
        f"One push of {options.users:,} people, at each service in turn, on one MySQL. A line ends when the last one is "
        "through, or when nobody is waited for any longer."
    )
    return plots.plot_timeline(
        "What happened, second by second", "seconds since the push", panels, caption=caption, tones=tones
    )


def _completion_label(run: ServiceRun) -> str:
    return f"all through, {run.summary.seconds:.0f} s" if _all_completed(run) else f"{_gave_up_count(run):,} gave up"


def _rate_label(run: ServiceRun) -> str:
    return f"{sum(one.response_rate for one in run.timeline) / len(run.timeline):,.0f} on average"


def _gave_up_count(run: ServiceRun) -> int:
    return run.summary.users - run.summary.done


def _all_completed(run: ServiceRun) -> bool:
    return run.summary.done == run.summary.users


def _verdict_sentence(run: ServiceRun) -> str:
    found = run.summary
    if run.title == POOLPROOF_SERVICE and is_flawless(run):
        return (
            f"With Poolproof on the same MySQL all {found.users:,} came through in {found.seconds:.1f} s "
            f"on {run.peak_connections} connections, without one error."
        )
    name = "Flask-SQLAlchemy's defaults" if run.title == NAIVE_APP else "Poolproof"
    people = "all" if _all_completed(run) else f"{found.done:,} of {found.users:,} people"
    if not run.error_count:
        return f"With {name} {people} came through in {found.seconds:.0f} s, without an error."
    share = "all" if len(run.queuepool_messages) == run.error_count else f"{len(run.queuepool_messages):,}"
    said = f", {share} of them with “QueuePool limit … reached”" if run.queuepool_messages else ""
    return f"With {name} {people} came through in {found.seconds:.0f} s; {run.error_count:,} requests failed{said}."


def _findings(run: ServiceRun, options: IncidentOptions) -> list[str]:
    name, found = SHORT_NAMES[run.title], run.summary
    opened = found.steps["open"]
    lines = [
        f"{name}: the quiz was open after {opened.p50:.2f} s for one half, {opened.p99:.2f} s for 99 of 100 people."
    ]
    if run.title == NAIVE_APP:
        said = f" It said: {run.queuepool_messages[0]}." if run.queuepool_messages else ""
        lines.append(f"{name}: Gunicorn with {WORKERS} × {options.threads} threads.{said}")
    if found.proof is not None:
        verdict = (
            "every one is stored as it was" if found.proof.is_intact else "NOT all of them are stored as they were"
        )
        lines.append(f"{name}: {found.proof.answers:,} answers were acknowledged and read back; {verdict}.")
    if found.client_was_the_bottleneck:
        lines.append(f"{name}: the load itself had too little of the machine; believe the ratio, not the seconds.")
    if not run.is_complete:
        lines.append(f"{name}: stopped before all were through.")
    return lines


def _summary_table(runs: Sequence[ServiceRun]) -> Table:
    def row(words: str, *cells: Cell) -> tuple[Cell, ...]:
        return (words, *cells)

    found = [side.summary for side in runs]
    rows = [
        row("people", *(one.users for one in found)),
        row("came through", *(one.done for one in found)),
        row("until the last had ended (s)", *(one.seconds for one in found)),
        row("tries that failed", *(side.error_count for side in runs)),
        row("QueuePool's message in the log", *(len(side.queuepool_messages) for side in runs)),
        row("connections at peak", *(side.peak_connections for side in runs)),
        row("requests", *(one.requests for one in found)),
        row("most requests waiting", *(max(one.waiting for one in side.timeline) for side in runs)),
    ]
    for step in ("open", "answer", "finish", "board"):
        rows += [
            row(f"{step}, half of them within (s)", *(one.steps[step].p50 for one in found)),
            row(f"{step}, 99 of 100 within (s)", *(one.steps[step].p99 for one in found)),
        ]
    note = "Seconds from the moment at which a step was meant to begin, tries again included."
    return Table("In numbers", ("", *(side.title for side in runs)), tuple(rows), note)


def _error_table(run: ServiceRun) -> Table:
    rows = []
    for kind, count in errors_by_kind(run.request_samples).items():
        when = [one.ended_at for one in run.request_samples if error_kind(one) == kind]
        rows.append((kind, count, min(when, default=None), max(when, default=None)))
    return Table(f"Errors: {run.title}", ("error", "times", "first after (s)", "last after (s)"), tuple(rows))


def _run_data(run: ServiceRun) -> dict[str, Any]:
    return {
        "service": run.title,
        "summary": run.summary.as_json(),
        "errors": errors_by_kind(run.request_samples),
        "queuepool_messages": len(run.queuepool_messages),
        "message": run.queuepool_messages[0] if run.queuepool_messages else None,
        "connections_at_peak": run.peak_connections,
        "is_complete": run.is_complete,
    }


def _timeline_rows(run: ServiceRun) -> list[dict[str, Any]]:
    return [
        {
            "service": run.title, "seconds": one.at, "waiting": one.waiting, "errors": one.error_count,
            "connections": one.connections, "answered_a_second": one.response_rate,
        }
        for one in run.timeline
    ]  # fmt: skip


def request_rows(runs: Sequence[ServiceRun]) -> list[dict[str, Any]]:
    """Return every try of both services, for a table of its own beside the report."""
    return [
        {
            "service": side.title, "step": one.step, "began": round(one.sent_at, 4), "ended": round(one.ended_at, 4),
            "result": one.result, "words": one.message,
        }
        for side in runs
        for one in side.request_samples
    ]  # fmt: skip


def _format_seconds(seconds: float) -> str:
    return "a second" if seconds == 1 else f"{seconds:g} seconds"
