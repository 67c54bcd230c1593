"""The report of an incident: verdict, findings, tables and one figure. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from poolproof.lab.reporting import plots
from poolproof.lab.reporting.plot_style import Tone
from poolproof.lab.reporting.plots import Panel
from poolproof.lab.reporting.report import Cell, Figure, LabReport, Table
from webapp.lab.incident.runner import NAIVE_APP, POOLPROOF_SERVICE, WORKERS, IncidentOptions, ServiceRun
from webapp.lab.incident.timeline import TimelinePoint, error_kind, errors_by_kind
from webapp.lab.loadgen.player import ANSWER, FINISH, LEADERBOARD, OPEN

SHORT_NAMES = {NAIVE_APP: "defaults", POOLPROOF_SERVICE: "Poolproof"}
TONES: Mapping[str, Tone] = {NAIVE_APP: "wrong", POOLPROOF_SERVICE: "accent"}


def build_report(runs: Sequence[ServiceRun], options: IncidentOptions, command: str) -> LabReport:
    """Return the report; of one service only when the run was stopped before the other began."""
    is_complete = len(runs) == len(SHORT_NAMES) and all(run.is_complete for run in runs)
    return LabReport(
        kind="incident",
        title=f"{options.users:,} people open one quiz within {_format_seconds(options.ramp)}",
        verdict=" ".join(_verdict_sentence(run) for run in runs),
        findings=tuple(finding for run in runs for finding in _findings(run, options)),
        command=command,
        tables=(_summary_table(runs), *(_error_table(run) for run in runs if run.error_count)),
        figures=(timeline_figure(runs, options),),
        data={"options": asdict(options), "services": [_run_data(run) for run in runs]},
        rows=tuple(row for run in runs for row in _timeline_rows(run)),
        is_complete=is_complete,
        grade="good" if is_complete and is_flawless(runs[-1]) else "bad",
    )


def is_flawless(run: ServiceRun) -> bool:
    """Return whether all people were served without one error, and nothing acknowledged was lost."""
    verified = run.summary.verification
    return not run.error_count and _all_completed(run) and verified is not None and verified.is_intact


def timeline_figure(runs: Sequence[ServiceRun], options: IncidentOptions) -> Figure:
    """Draw both timelines above each other; the label at the end of each line has its most important number."""
    tones: dict[str, Tone] = {}

    def panel(
        label: str, value: Callable[[TimelinePoint], float | None], end_label: Callable[[ServiceRun], str], **style: Any
    ) -> Panel:
        series = {}
        for run in runs:
            name = f"{SHORT_NAMES[run.title]}: {end_label(run)}"
            series[name] = [(point.at, number) for point in run.timeline if (number := value(point)) is not None]
            tones[name] = TONES[run.title]
        return Panel(label, series, **style)

    panels = [
        panel("requests waiting", lambda point: point.waiting, _completion_label, filled=True, height=1.25),
        panel("errors so far", lambda point: point.error_count, lambda run: f"{run.error_count:,}", filled=True),
        panel(
            "connections on the server",
            lambda point: point.connections,
            lambda run: f"at most {run.peak_connections}",
        ),
        panel("successes in a second", lambda point: point.response_rate, _rate_label),
    ]
    caption = (
        f"One push of {options.users:,} people, at each service in turn, on one MySQL. A line ends when all are done, "
        "or when the push is ended after its time limit."
    )
    return plots.plot_timeline(
        "What happened, second by second", "seconds since the push", panels, caption=caption, tones=tones
    )


def _completion_label(run: ServiceRun) -> str:
    return f"all done, {run.summary.seconds:.0f} s" if _all_completed(run) else f"{_gave_up_count(run):,} gave up"


def _rate_label(run: ServiceRun) -> str:
    return f"{sum(point.response_rate for point in run.timeline) / len(run.timeline):,.0f} on average"


def _gave_up_count(run: ServiceRun) -> int:
    return run.summary.users - run.summary.done


def _all_completed(run: ServiceRun) -> bool:
    return run.summary.done == run.summary.users


def _verdict_sentence(run: ServiceRun) -> str:
    summary = run.summary
    if run.title == POOLPROOF_SERVICE and is_flawless(run):
        return (
            f"With Poolproof on the same MySQL all {summary.users:,} were served in {summary.seconds:.1f} s "
            f"on {run.peak_connections} connections, without one error."
        )
    name = "Flask-SQLAlchemy's defaults" if run.title == NAIVE_APP else "Poolproof"
    people = "all" if _all_completed(run) else f"{summary.done:,} of {summary.users:,} people"
    if not run.error_count:
        return f"With {name} {people} were served in {summary.seconds:.0f} s, without an error."
    share = "all" if len(run.queuepool_messages) == run.error_count else f"{len(run.queuepool_messages):,}"
    queuepool = f", {share} of them with “QueuePool limit … reached”" if run.queuepool_messages else ""
    return (
        f"With {name} {people} were served in {summary.seconds:.0f} s; {run.error_count:,} requests failed{queuepool}."
    )


def _findings(run: ServiceRun, options: IncidentOptions) -> list[str]:
    name, summary = SHORT_NAMES[run.title], run.summary
    open_latency = summary.steps[OPEN]
    lines = [
        f"{name}: the quiz was open after {open_latency.p50:.2f} s for half of them, {open_latency.p99:.2f} s for 99 %."
    ]
    if run.title == NAIVE_APP:
        message = f" Its log says: {run.queuepool_messages[0]}." if run.queuepool_messages else ""
        lines.append(f"{name}: Gunicorn with {WORKERS} × {options.threads} threads.{message}")
    if summary.verification is not None:
        verdict = (
            "every one is stored as it was"
            if summary.verification.is_intact
            else "NOT all of them are stored as they were"
        )
        lines.append(f"{name}: {summary.verification.answers:,} answers were acknowledged and read back; {verdict}.")
    if summary.client_was_the_bottleneck:
        lines.append(
            f"{name}: the load itself was the bottleneck; trust the ratio of the two services, not the seconds."
        )
    if not run.is_complete:
        lines.append(f"{name}: stopped before all were done.")
    return lines


def _summary_table(runs: Sequence[ServiceRun]) -> Table:
    def row(label: str, *cells: Cell) -> tuple[Cell, ...]:
        return (label, *cells)

    summaries = [run.summary for run in runs]
    rows = [
        row("people", *(summary.users for summary in summaries)),
        row("served to the end", *(summary.done for summary in summaries)),
        row("until the last was done (s)", *(summary.seconds for summary in summaries)),
        row("tries that failed", *(run.error_count for run in runs)),
        row("QueuePool's message in the log", *(len(run.queuepool_messages) for run in runs)),
        row("connections at peak", *(run.peak_connections for run in runs)),
        row("requests", *(summary.requests for summary in summaries)),
        row("most requests waiting", *(max(point.waiting for point in run.timeline) for run in runs)),
    ]
    for step in (OPEN, ANSWER, FINISH, LEADERBOARD):
        rows += [
            row(f"{step}, half of them within (s)", *(summary.steps[step].p50 for summary in summaries)),
            row(f"{step}, 99 of 100 within (s)", *(summary.steps[step].p99 for summary in summaries)),
        ]
    note = "Seconds from the moment at which a step was meant to begin, tries again included."
    return Table("In numbers", ("", *(run.title for run in runs)), tuple(rows), note)


def _error_table(run: ServiceRun) -> Table:
    rows = []
    for kind, count in errors_by_kind(run.request_samples).items():
        ended_at = [sample.ended_at for sample in run.request_samples if error_kind(sample) == kind]
        rows.append((kind, count, min(ended_at, default=None), max(ended_at, default=None)))
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
            "service": run.title, "seconds": point.at, "waiting": point.waiting, "errors": point.error_count,
            "connections": point.connections, "answered_a_second": point.response_rate,
        }
        for point in run.timeline
    ]  # fmt: skip


def request_rows(runs: Sequence[ServiceRun]) -> list[dict[str, Any]]:
    """Return every try of both services, for a table of its own beside the report."""
    return [
        {
            "service": run.title, "step": sample.step, "began": round(sample.sent_at, 4),
            "ended": round(sample.ended_at, 4), "result": sample.result, "message": sample.message,
        }
        for run in runs
        for sample in run.request_samples
    ]  # fmt: skip


def _format_seconds(seconds: float) -> str:
    return "a second" if seconds == 1 else f"{seconds:g} seconds"
