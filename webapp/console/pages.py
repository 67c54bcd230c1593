"""Pages: the console, its actions and their audit log; and metrics for Prometheus. On the console's address only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.integrations.flask_ext import get_pooling
from poolproof.metrics.metrics import render_text
from webapp.accounts.auth import CONSOLE_BLUEPRINT, get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.console import charts, lab_reports, pool_sentences
from webapp.console.charts import HistoryChart
from webapp.console.console_service import DAY, HOUR, ConsoleSnapshot, get_console_service
from webapp.console.event_groups import group_events
from webapp.console.format_duration import format_duration
from webapp.console.history import Minute
from webapp.console.severity import worst_severity
from webapp.errors import DomainError, NotFoundError
from webapp.messages import message
from webapp.web.languages import translate
from webapp.web.security.console_listener import restrict_to_console

blueprint = Blueprint(CONSOLE_BLUEPRINT, __name__, url_prefix="/console")
metrics = Blueprint("metrics", __name__)
for restricted in (blueprint, metrics):
    restrict_to_console(restricted)

blueprint.add_app_template_filter(lambda seconds: translate(format_duration(seconds)), "format_duration")

MIN_REFRESH_INTERVAL, DEFAULT_REFRESH_INTERVAL, MAX_REFRESH_INTERVAL = 1, 2, 20
"""Seconds between two refreshes of an open page."""
MAX_INTERVAL_DIGITS = 3
PAST_RANGES = {"hour": HOUR, "day": DAY}
# A report contains its styles and pictures.
REPORT_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
OPENMETRICS = "application/openmetrics-text"
HISTOGRAMS = (("waits", message("Wait time")), ("uses", message("Use time")), ("creates", message("Create time")))
BATCH_SIZES = tuple(message("up to %(count)s", count=2**power) for power in range(10))


@blueprint.get("")
@require_page(Permission.OPERATE)
def overview() -> str:
    """Show the fleet: diagnoses first, then the charts; with `part=live` only what changes."""
    snapshot = get_console_service(current_app).snapshot(PAST_RANGES[_past_range()])
    template = "console/live_parts.html" if request.args.get("part") == "live" else "console/console.html"
    return render_template(template, **_template_context(snapshot))


@blueprint.get("/data.json")
@require_page(Permission.OPERATE)
def data() -> dict[str, Any]:
    """Return what the page shows, for programs."""
    snapshot = get_console_service(current_app).snapshot(PAST_RANGES[_past_range()])
    view, demand = snapshot.view, snapshot.demand
    return {
        "at": view.at,
        "machine": view.machine,
        "severity": worst_severity(snapshot.diagnoses).name.lower(),
        "diagnoses": [{**asdict(each), "severity": each.severity.name.lower()} for each in snapshot.diagnoses],
        "budget": {"at_most": view.need.total, "sum": str(view.need), "used": view.used, "open": view.open},
        "demand": {**asdict(demand), "mean_use_time": demand.mean_use_time},
        "processes": [asdict(process) for process in view.processes],
        "holders": [{**asdict(holder), "process": holder.process.key} for holder in view.holders],
        "waiters": view.waiters,
        "server": asdict(view.server),
        "checks": [asdict(finding) for finding in view.findings],
        "events": view.events,
        "past": [{**asdict(minute), "ended_at": minute.ended_at.isoformat()} for minute in snapshot.past],
    }


@blueprint.get("/reports")
@require_page(Permission.OPERATE)
def reports() -> str:
    """List the reports of the lab."""
    directory = get_console_service(current_app).reports_dir
    return render_template("console/reports.html", reports=lab_reports.list_reports(directory))


@blueprint.get("/reports/<name>")
@require_page(Permission.OPERATE)
def report(name: str) -> Response:
    """Show a report of the lab: a page of its own, in a sandbox and without scripts."""
    content = lab_reports.read_report_page(get_console_service(current_app).reports_dir, name)
    if content is None:
        raise NotFoundError(message("There is no report %(name)s.", name=name))
    return Response(content, mimetype="text/html", headers={"Content-Security-Policy": REPORT_CSP})


@blueprint.get("/actions/<action>")
@require_page(Permission.OPERATE)
def confirm(action: str) -> str | WerkzeugResponse:
    """Ask for the confirmation of an action."""
    try:
        action_request = get_console_service(current_app).prepare_action(action, request.args)
    except DomainError as error:
        flash(translate(error.detail), "error")
        return redirect(url_for("console.overview"))
    return render_template("console/confirm.html", action_request=action_request)


@blueprint.post("/actions/<action>")
@require_page(Permission.OPERATE)
def execute(action: str) -> WerkzeugResponse:
    """Execute an action, and show its outcome."""
    service = get_console_service(current_app)
    try:
        outcome = service.execute_action(get_current_user().name, service.prepare_action(action, request.form))
    except DomainError as error:
        flash(translate(error.detail), "error")
    else:
        flash(translate(outcome.sentence), "success" if outcome.is_done else "error")
    return redirect(url_for("console.overview"))


@blueprint.get("/audit")
@require_page(Permission.OPERATE)
def audit() -> str:
    """Show the audit log."""
    return render_template("console/audit.html", entries=get_console_service(current_app).audit_entries())


@metrics.get("/metrics")
def numbers() -> Response:
    """Return the fleet's metrics in Prometheus's text format, or in OpenMetrics' where the client prefers that."""
    pooling = get_pooling()
    assert pooling.fleet_agent is not None  # noqa: S101 - create_app names a directory
    families = fleet_families(pooling.fleet_agent.folder.snapshot(), pooling.settings.min_idle)
    if _accept_quality(OPENMETRICS) > _accept_quality("text/plain"):
        kind = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
        return Response(render_text(families, openmetrics=True), content_type=kind)
    return Response(render_text(families), content_type="text/plain; version=0.0.4; charset=utf-8")


def _accept_quality(kind: str) -> float:
    """Return the highest quality with which the client accepts a media type, in any version of it."""
    return max((quality for name, quality in request.accept_mimetypes if name.startswith(kind)), default=0.0)


def _past_range() -> str:
    span = request.args.get("span", "hour")
    return span if span in PAST_RANGES else "hour"


def _refresh_interval() -> int:
    text = request.args.get("interval", "")
    if not text.isdecimal() or len(text) > MAX_INTERVAL_DIGITS:
        return DEFAULT_REFRESH_INTERVAL
    return min(MAX_REFRESH_INTERVAL, max(MIN_REFRESH_INTERVAL, int(text)))


def _template_context(snapshot: ConsoleSnapshot) -> dict[str, Any]:
    view, span = snapshot.view, _past_range()
    process, lane = request.args.get("process", ""), request.args.get("lane", "")
    bars, max_connections = charts.budget_bars(view)
    commits = view.counters.get("commits", {})
    return {
        "view": view,
        "budget_sum": pool_sentences.budget_sentence(view.need),
        "demand": snapshot.demand,
        "diagnoses": snapshot.diagnoses,
        "severity": worst_severity(snapshot.diagnoses),
        "budget": bars,
        "max_connections": max_connections,
        "timelines": [(member, charts.timeline_chart(member)) for member in view.processes],
        "holders": [
            holder for holder in view.holders if process in {"", holder.process.key} and lane in {"", holder.lane}
        ],
        "distributions": [
            (title, charts.histogram_bars(histogram), histogram)
            for name, title in HISTOGRAMS
            for histogram in [view.histogram(lane or "interactive", name)]
        ],
        "batches": [
            (name, charts.column_bars(counters["batches"], BATCH_SIZES), counters) for name, counters in commits.items()
        ],
        "past": _history_charts(snapshot.past, PAST_RANGES[span]),
        "past_error": snapshot.past_error,
        "event_groups": group_events(view.events),
        "span": span,
        "interval": _refresh_interval(),
        "lane": lane,
        "process": process,
        "is_read_only": get_console_service(current_app).is_read_only,
    }


def _history_charts(minutes: Sequence[Minute], seconds: int) -> list[tuple[str, HistoryChart | None]]:
    now, machine_of = datetime.now(UTC), attrgetter("machine")
    return [
        (machine, charts.history_chart(list(group), seconds, now))
        for machine, group in groupby(sorted(minutes, key=machine_of), machine_of)
    ]
