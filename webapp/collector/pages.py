"""The studio's pages of collections: order one, watch it, cancel it, resume it."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.collector import runs
from webapp.collector.runs import Run, Status
from webapp.collector.sources.registry import get_source_registry
from webapp.errors import DomainError
from webapp.web.rest import pagination
from webapp.web.rest.openapi import ID

blueprint = Blueprint("collection_pages", __name__, url_prefix="/studio/collections")

PAGE_SIZE = 20


@blueprint.get("")
@require_page(Permission.EDIT_BANK)
def collections() -> str:
    """List the sources, and the runs, the newest first."""
    before = pagination.decode_cursor(request.args.get("cursor"))
    with read() as connection:
        page = runs.list_runs(connection, before, PAGE_SIZE)
    sources, errors = get_source_registry(current_app).scan()
    return render_template("studio/collections.html", page=page, sources=sources, config_errors=errors)


@blueprint.post("")
@require_page(Permission.EDIT_BANK)
def start() -> WerkzeugResponse:
    """Queue a run of a source."""
    try:
        source, by = get_source_registry(current_app).find(request.form.get("source", "")), get_current_user().name
        run = run_in_transaction(lambda connection: runs.enqueue(connection, source.name, by))
    except DomainError as error:
        flash(error.detail, "error")
        return redirect(url_for("collection_pages.collections"), 303)
    return redirect(url_for("collection_pages.run", run_id=run.id), 303)


@blueprint.get(f"/<{ID}:run_id>")
@require_page(Permission.EDIT_BANK)
def run(run_id: int) -> str:
    """Show how far a run is; `?part=live` gives only what changes."""
    with read() as connection:
        found = runs.find(connection, run_id)
        partitions, events = runs.list_partitions(connection, run_id), runs.list_events(connection, run_id)
    titles = {source.name: source.title for source in get_source_registry(current_app).available()}
    template = "studio/collection_live.html" if request.args.get("part") == "live" else "studio/collection.html"
    return render_template(
        template,
        run=found,
        partitions=partitions,
        events=events,
        can_resume=_can_resume(found),
        title=titles.get(found.source, found.source),
    )


@blueprint.post(f"/<{ID}:run_id>/cancel")
@require_page(Permission.EDIT_BANK)
def cancel(run_id: int) -> WerkzeugResponse:
    """End a run."""
    try:
        run_in_transaction(lambda connection: runs.cancel(connection, run_id))
    except DomainError as error:
        flash(error.detail, "error")
    return redirect(url_for("collection_pages.run", run_id=run_id), 303)


@blueprint.post(f"/<{ID}:run_id>/resume")
@require_page(Permission.EDIT_BANK)
def resume(run_id: int) -> WerkzeugResponse:
    """Queue a run again."""
    try:
        run_in_transaction(lambda connection: runs.resume(connection, run_id))
    except DomainError as error:
        flash(error.detail, "error")
    return redirect(url_for("collection_pages.run", run_id=run_id), 303)


def _can_resume(run: Run) -> bool:
    return run.status in {Status.CANCELLED, Status.FAILED}
