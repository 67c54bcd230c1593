"""The studio's pages of collections: start a run, follow its progress, cancel it, resume it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.collector import runs
from webapp.collector.runs import Run, Status
from webapp.collector.sources.registry import get_source_registry
from webapp.errors import DomainError
from webapp.web.languages import translate
from webapp.web.rest import pagination
from webapp.web.rest.openapi import ID

blueprint = Blueprint("collection_pages", __name__, url_prefix="/studio/collections")

PAGE_SIZE = 20


@blueprint.get("")
@require_page(Permission.EDIT_BANK)
def collections() -> str:
    """List the sources and the runs, the newest first."""
    before = pagination.decode_cursor(request.args.get("cursor"))
    with read() as connection:
        page = runs.list_runs(connection, before, PAGE_SIZE)
    sources, config_errors = get_source_registry(current_app).scan()
    return render_template("studio/collections.html", page=page, sources=sources, config_errors=config_errors)


@blueprint.post("")
@require_page(Permission.EDIT_BANK)
def start() -> WerkzeugResponse:
    """Queue a run of a source."""
    name, user = request.form.get("source", ""), get_current_user().name

    def enqueue() -> Run:
        source = get_source_registry(current_app).find(name)
        return run_in_transaction(lambda connection: runs.enqueue(connection, source.name, user))

    return _change_run(enqueue, url_for("collection_pages.collections"))


@blueprint.get(f"/<{ID}:run_id>")
@require_page(Permission.EDIT_BANK)
def run(run_id: int) -> str:
    """Show the progress of a run; `?part=live` returns only the part of the page that changes."""
    with read() as connection:
        progress = runs.read_progress(connection, run_id)
    titles = {source.name: source.title for source in get_source_registry(current_app).available()}
    template = "studio/collection_live.html" if request.args.get("part") == "live" else "studio/collection.html"
    return render_template(
        template,
        run=progress.run,
        partitions=progress.partitions,
        events=progress.events,
        can_resume=_can_resume(progress.run),
        title=titles.get(progress.run.source, progress.run.source),
    )


@blueprint.post(f"/<{ID}:run_id>/cancel")
@require_page(Permission.EDIT_BANK)
def cancel(run_id: int) -> WerkzeugResponse:
    """Cancel a run."""
    address = url_for("collection_pages.run", run_id=run_id)
    return _change_run(lambda: run_in_transaction(lambda connection: runs.cancel(connection, run_id)), address)


@blueprint.post(f"/<{ID}:run_id>/resume")
@require_page(Permission.EDIT_BANK)
def resume(run_id: int) -> WerkzeugResponse:
    """Queue a run again."""
    address = url_for("collection_pages.run", run_id=run_id)
    return _change_run(lambda: run_in_transaction(lambda connection: runs.resume(connection, run_id)), address)


def _change_run(operation: Callable[[], Run], address_on_error: str) -> WerkzeugResponse:
    """Change a run and redirect to its page; show an error on the page at the address."""
    try:
        run_id = operation().id
    except DomainError as error:
        flash(translate(error.detail), "error")
        return redirect(address_on_error, 303)
    return redirect(url_for("collection_pages.run", run_id=run_id), 303)


def _can_resume(run: Run) -> bool:
    return run.status in {Status.CANCELLED, Status.FAILED}
