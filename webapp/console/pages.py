"""Pages: the console, its deeds and their record; and the numbers for Prometheus. On the console's address only."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.integrations.flask_ext import get_pooling
from poolproof.metrics.metrics import render_text
from webapp.accounts.auth import CONSOLE_BLUEPRINT, get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.console import charts, format_duration
from webapp.console import lab_reports as kept
from webapp.console.console_service import DAY, HOUR, ConsoleSnapshot, get_console_service
from webapp.console.diagnosis import worst_severity
from webapp.console.event_groups import group_events
from webapp.errors import DomainError, NotFoundError
from webapp.web.security.console_listener import require_console_listener

blueprint = Blueprint(CONSOLE_BLUEPRINT, __name__, url_prefix="/console")
metrics = Blueprint("metrics", __name__)
for one in (blueprint, metrics):
    one.before_request(require_console_listener)

blueprint.add_app_template_filter(format_duration.format_duration)

MIN_REFRESH_INTERVAL, DEFAULT_REFRESH_INTERVAL, MAX_REFRESH_INTERVAL = 1, 2, 20
"""Seconds between two looks of an open page."""
PAST_RANGES = {"hour": HOUR, "day": DAY}
# Its styles and pictures are in it.
REPORT_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
OPENMETRICS = "application/openmetrics-text"
HISTOGRAMS = (("waits", "Waiting for a connection"), ("uses", "Holding it"), ("creates", "Opening it"))
BATCH_SIZES = tuple(f"up to {2**power}" for power in range(10))


@blueprint.get("")
@require_page(Permission.OPERATE)
def overview() -> str:
    """Show the fleet: sentences first, then the pictures; with `part=live` what changes only."""
    shown = get_console_service(current_app).snapshot(PAST_RANGES[_past_range()])
    template = "console/fresh.html" if request.args.get("part") == "live" else "console/console.html"
    return render_template(template, **_template_context(shown))


@blueprint.get("/data.json")
@require_page(Permission.OPERATE)
def data() -> dict[str, Any]:
    """Return what the page shows, for programs."""
    shown = get_console_service(current_app).snapshot(PAST_RANGES[_past_range()])
    view = shown.view
    return {
        "at": view.at,
        "machine": view.machine,
        "severity": worst_severity(shown.diagnoses).name.lower(),
        "sentences": [{**asdict(one), "severity": one.severity.name.lower()} for one in shown.diagnoses],
        "budget": {"at_most": view.need.total, "sum": str(view.need), "used": view.used, "open": view.open},
        "needs": {**asdict(shown.demand), "hold": shown.demand.mean_use_time},
        "processes": [asdict(one) for one in view.processes],
        "holders": [{**asdict(one), "process": one.process.key} for one in view.holders],
        "waiters": view.waiters,
        "server": asdict(view.server),
        "checks": [asdict(one) for one in view.findings],
        "events": view.events,
        "past": [{**asdict(one), "ended_at": one.ended_at.isoformat()} for one in shown.past],
    }


@blueprint.get("/reports")
@require_page(Permission.OPERATE)
def reports() -> str:
    """List what the lab has measured."""
    return render_template(
        "console/reports.html", reports=kept.list_reports(get_console_service(current_app).reports_dir)
    )


@blueprint.get("/reports/<name>")
@require_page(Permission.OPERATE)
def report(name: str) -> Response:
    """Show a report of the lab: a page of its own, which may do nothing but be looked at."""
    content = kept.read_report_page(get_console_service(current_app).reports_dir, name)
    if content is None:
        raise NotFoundError(f"There is no report {name}.")
    return Response(content, mimetype="text/html", headers={"Content-Security-Policy": REPORT_CSP})


@blueprint.get("/deeds/<deed>")
@require_page(Permission.OPERATE)
def confirm(deed: str) -> str | WerkzeugResponse:
    """Ask whether a deed is meant."""
    try:
        wish = get_console_service(current_app).prepare_action(deed, request.args)
    except DomainError as error:
        flash(error.detail, "trouble")
        return redirect(url_for("console.overview"))
    return render_template("console/confirm.html", wish=wish)


@blueprint.post("/deeds/<deed>")
@require_page(Permission.OPERATE)
def do(deed: str) -> WerkzeugResponse:
    """Do it, and say what came of it."""
    watching = get_console_service(current_app)
    try:
        outcome = watching.execute_action(get_current_user().name, watching.prepare_action(deed, request.form))
    except DomainError as error:
        flash(error.detail, "trouble")
    else:
        flash(outcome, "trouble" if outcome.startswith("Not done") else "done")
    return redirect(url_for("console.overview"))


@blueprint.get("/record")
@require_page(Permission.OPERATE)
def record() -> str:
    """Show what operators have done."""
    return render_template("console/record.html", record=get_console_service(current_app).audit_entries())


@metrics.get("/metrics")
def numbers() -> Response:
    """Return the fleet's numbers in Prometheus's text format, or in OpenMetrics' for who asks for that."""
    pooling = get_pooling()
    assert pooling.fleet_agent is not None  # noqa: S101 - create_app names a folder
    families = fleet_families(pooling.fleet_agent.folder.snapshot(), pooling.settings.min_idle)
    if _accept_quality(OPENMETRICS) > _accept_quality("text/plain"):
        kind = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
        return Response(render_text(families, openmetrics=True), content_type=kind)
    return Response(render_text(families), content_type="text/plain; version=0.0.4; charset=utf-8")


def _accept_quality(kind: str) -> float:
    """Return how much the client wants a kind, whatever version of it (the header names several)."""
    return max((quality for name, quality in request.accept_mimetypes if name.startswith(kind)), default=0.0)


def _past_range() -> str:
    span = request.args.get("span", "hour")
    return span if span in PAST_RANGES else "hour"


def _refresh_interval() -> int:
    given = request.args.get("every", "")
    return (
        min(MAX_REFRESH_INTERVAL, max(MIN_REFRESH_INTERVAL, int(given)))
        if given.isdecimal() and len(given) < 4
        else DEFAULT_REFRESH_INTERVAL
    )


def _template_context(snapshot: ConsoleSnapshot) -> dict[str, Any]:
    view, span, now = snapshot.view, _past_range(), datetime.now(UTC)
    wanted, lane = request.args.get("process", ""), request.args.get("lane", "")
    bars, whole = charts.budget_bars(view)
    commits = view.counters.get("commits", {})
    return {
        "view": view,
        "needs": snapshot.demand,
        "sentences": snapshot.diagnoses,
        "grade": worst_severity(snapshot.diagnoses),
        "budget": bars,
        "whole": whole,
        "strips": [(one, charts.timeline_chart(one)) for one in view.processes],
        "holders": [
            one for one in view.holders if wanted in {"", one.process.key} and lane in {"", one.lane}
        ],
        "distributions": [
            (title, charts.histogram_bars(histogram), histogram)
            for what, title in HISTOGRAMS
            for histogram in [view.histogram(lane or "interactive", what)]
        ],
        "batches": [(name, charts.column_bars(tree["batches"], BATCH_SIZES), tree) for name, tree in commits.items()],
        "past": [
            (machine, charts.history_chart(list(minutes), PAST_RANGES[span], now))
            for machine, minutes in groupby(sorted(snapshot.past, key=lambda one: one.machine), lambda one: one.machine)
        ],
        "past_error": snapshot.past_error,
        "happenings": group_events(view.events),
        "span": span,
        "every": _refresh_interval(),
        "lane": lane,
        "process": wanted,
        "is_read_only": get_console_service(current_app).is_read_only,
    }  # fmt: skip
