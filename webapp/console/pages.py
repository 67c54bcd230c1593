"""Pages: the console, its deeds and their record; and the numbers for Prometheus. On the console's address only."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.accounts.guard import CONSOLE, asking_user, page_for
from webapp.accounts.roles import Permission
from webapp.console import charts, durations
from webapp.console import reports as kept
from webapp.console.happenings import told
from webapp.console.overview import grade_of
from webapp.console.watching import DAY, HOUR, Shown, watching_of
from webapp.errors import DomainError, NotFoundError
from webapp.pooling.exposition import fleet_families
from webapp.pooling.extension import pooling_of_this_app
from webapp.pooling.metrics import exposition
from webapp.web.doors import require_console_door

blueprint = Blueprint(CONSOLE, __name__, url_prefix="/console")
metrics = Blueprint("metrics", __name__)
for one in (blueprint, metrics):
    one.before_request(require_console_door)

blueprint.add_app_template_filter(durations.span)

SHORTEST, USUAL, LONGEST = 1, 2, 20
"""Seconds between two looks of an open page."""
SPANS = {"hour": HOUR, "day": DAY}
# Its styles and pictures are in it.
POLICY_OF_REPORTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
OPENMETRICS = "application/openmetrics-text"
DISTRIBUTIONS = (("waits", "Waiting for a connection"), ("uses", "Holding it"), ("creates", "Opening it"))
BATCH_SIZES = tuple(f"up to {2**power}" for power in range(10))


@blueprint.get("")
@page_for(Permission.OPERATE)
def overview() -> str:
    """Show the fleet: sentences first, then the pictures; with `part=live` what changes only."""
    shown = watching_of(current_app).show(SPANS[_span()])
    template = "console/fresh.html" if request.args.get("part") == "live" else "console/console.html"
    return render_template(template, **_for_template(shown))


@blueprint.get("/data.json")
@page_for(Permission.OPERATE)
def data() -> dict[str, Any]:
    """Return what the page shows, for programs."""
    shown = watching_of(current_app).show(SPANS[_span()])
    view = shown.view
    return {
        "at": view.at,
        "machine": view.machine,
        "grade": grade_of(shown.sentences).name.lower(),
        "sentences": [{**asdict(one), "grade": one.grade.name.lower()} for one in shown.sentences],
        "budget": {"at_most": view.need.at_most, "sum": str(view.need), "used": view.used, "open": view.open},
        "needs": {**asdict(shown.needs), "hold": shown.needs.hold},
        "processes": [asdict(one) for one in view.processes],
        "holders": [{**asdict(one), "process": one.process.key} for one in view.holders],
        "waiters": view.waiters,
        "server": asdict(view.server),
        "checks": [asdict(one) for one in view.findings],
        "events": view.events,
        "past": [{**asdict(one), "ended_at": one.ended_at.isoformat()} for one in shown.past],
    }


@blueprint.get("/reports")
@page_for(Permission.OPERATE)
def reports() -> str:
    """List what the lab has measured."""
    return render_template("console/reports.html", reports=kept.kept(watching_of(current_app).reports))


@blueprint.get("/reports/<name>")
@page_for(Permission.OPERATE)
def report(name: str) -> Response:
    """Show a report of the lab: a page of its own, which may do nothing but be looked at."""
    content = kept.page(watching_of(current_app).reports, name)
    if content is None:
        raise NotFoundError(f"There is no report {name}.")
    return Response(content, mimetype="text/html", headers={"Content-Security-Policy": POLICY_OF_REPORTS})


@blueprint.get("/deeds/<deed>")
@page_for(Permission.OPERATE)
def confirm(deed: str) -> str | WerkzeugResponse:
    """Ask whether a deed is meant."""
    try:
        wish = watching_of(current_app).wish(deed, request.args)
    except DomainError as error:
        flash(error.detail, "trouble")
        return redirect(url_for("console.overview"))
    return render_template("console/confirm.html", wish=wish)


@blueprint.post("/deeds/<deed>")
@page_for(Permission.OPERATE)
def do(deed: str) -> WerkzeugResponse:
    """Do it, and say what came of it."""
    watching = watching_of(current_app)
    try:
        outcome = watching.do(asking_user().name, watching.wish(deed, request.form))
    except DomainError as error:
        flash(error.detail, "trouble")
    else:
        flash(outcome, "trouble" if outcome.startswith("Not done") else "done")
    return redirect(url_for("console.overview"))


@blueprint.get("/record")
@page_for(Permission.OPERATE)
def record() -> str:
    """Show what operators have done."""
    return render_template("console/record.html", record=watching_of(current_app).record())


@metrics.get("/metrics")
def numbers() -> Response:
    """Return the fleet's numbers in Prometheus's text format, or in OpenMetrics' for who asks for that."""
    pooling = pooling_of_this_app()
    assert pooling.publisher is not None  # noqa: S101 - create_app names a folder
    families = fleet_families(pooling.publisher.folder.look(), pooling.settings.keep)
    if _wish(OPENMETRICS) > _wish("text/plain"):
        kind = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
        return Response(exposition(families, openmetrics=True), content_type=kind)
    return Response(exposition(families), content_type="text/plain; version=0.0.4; charset=utf-8")


def _wish(kind: str) -> float:
    """Return how much the client wants a kind, whatever version of it (the header names several)."""
    return max((quality for name, quality in request.accept_mimetypes if name.startswith(kind)), default=0.0)


def _span() -> str:
    span = request.args.get("span", "hour")
    return span if span in SPANS else "hour"


def _every() -> int:
    given = request.args.get("every", "")
    return min(LONGEST, max(SHORTEST, int(given))) if given.isdecimal() and len(given) < 4 else USUAL  # noqa: PLR2004


def _for_template(shown: Shown) -> dict[str, Any]:
    view, span, now = shown.view, _span(), datetime.now(UTC)
    wanted, lane = request.args.get("process", ""), request.args.get("lane", "")
    bars, whole = charts.budget(view)
    commits = view.counted.get("commits", {})
    return {
        "view": view,
        "needs": shown.needs,
        "sentences": shown.sentences,
        "grade": grade_of(shown.sentences),
        "budget": bars,
        "whole": whole,
        "strips": [(one, charts.strip(one)) for one in view.processes],
        "holders": [
            one for one in view.holders if wanted in {"", one.process.key} and lane in {"", one.lane}
        ],
        "distributions": [
            (title, charts.distribution(histogram), histogram)
            for what, title in DISTRIBUTIONS
            for histogram in [view.histogram(lane or "interactive", what)]
        ],
        "batches": [(name, charts.columns_of(tree["batches"], BATCH_SIZES), tree) for name, tree in commits.items()],
        "past": [
            (machine, charts.past(list(minutes), SPANS[span], now))
            for machine, minutes in groupby(sorted(shown.past, key=lambda one: one.machine), lambda one: one.machine)
        ],
        "past_trouble": shown.past_trouble,
        "happenings": told(view.events),
        "span": span,
        "every": _every(),
        "lane": lane,
        "process": wanted,
        "is_read_only": watching_of(current_app).is_read_only,
    }  # fmt: skip
