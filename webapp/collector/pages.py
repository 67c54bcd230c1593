"""The studio's pages of collections: order one, watch it, cancel it, resume it."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.accounts.guard import asking_user, page_for
from webapp.accounts.roles import Permission
from webapp.collector import runs
from webapp.collector.runs import Run, Status
from webapp.collector.sources.known import sources_of
from webapp.errors import DomainError
from webapp.pooling.extension import read, transact
from webapp.web import cursors
from webapp.web.openapi import ID

blueprint = Blueprint("collection_pages", __name__, url_prefix="/studio/collections")

LISTED_AT_ONCE = 20


@blueprint.get("")
@page_for(Permission.EDIT_BANK)
def collections() -> str:
    """List the sources, and the runs, the newest first."""
    before = cursors.decode(request.args.get("cursor"))
    with read() as connection:
        found = runs.latest(connection, before, LISTED_AT_ONCE)
    page = cursors.Page(found.rows, found.next_before)
    sources, faults = sources_of(current_app).look()
    return render_template("studio/collections.html", page=page, sources=sources, faults=faults)


@blueprint.post("")
@page_for(Permission.EDIT_BANK)
def start() -> WerkzeugResponse:
    """Queue a run of a source."""
    try:
        source, by = sources_of(current_app).find(request.form.get("source", "")), asking_user().name
        run = transact(lambda connection: runs.order(connection, source.name, by))
    except DomainError as error:
        flash(error.detail, "trouble")
        return redirect(url_for("collection_pages.collections"), 303)
    return redirect(url_for("collection_pages.run", run_id=run.id), 303)


@blueprint.get(f"/<{ID}:run_id>")
@page_for(Permission.EDIT_BANK)
def run(run_id: int) -> str:
    """Show how far a run is; `?part=live` gives only what changes."""
    with read() as connection:
        found = runs.find(connection, run_id)
        parts, events = runs.parts(connection, run_id), runs.events(connection, run_id)
    titles = {source.name: source.title for source in sources_of(current_app).all()}
    template = "studio/collection_live.html" if request.args.get("part") == "live" else "studio/collection.html"
    return render_template(
        template,
        run=found,
        parts=parts,
        events=events,
        can_resume=_can_resume(found),
        title=titles.get(found.source, found.source),
    )


@blueprint.post(f"/<{ID}:run_id>/cancel")
@page_for(Permission.EDIT_BANK)
def cancel(run_id: int) -> WerkzeugResponse:
    """End a run."""
    try:
        transact(lambda connection: runs.cancel(connection, run_id))
    except DomainError as error:
        flash(error.detail, "trouble")
    return redirect(url_for("collection_pages.run", run_id=run_id), 303)


@blueprint.post(f"/<{ID}:run_id>/resume")
@page_for(Permission.EDIT_BANK)
def resume(run_id: int) -> WerkzeugResponse:
    """Queue a run again."""
    try:
        transact(lambda connection: runs.resume(connection, run_id))
    except DomainError as error:
        flash(error.detail, "trouble")
    return redirect(url_for("collection_pages.run", run_id=run_id), 303)


def _can_resume(run: Run) -> bool:
    return run.status in {Status.CANCELLED, Status.FAILED}
