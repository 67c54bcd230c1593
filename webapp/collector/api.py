"""REST: sources and collection runs, for authors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import current_app, url_for

from webapp.accounts.guard import api_for, asking_user
from webapp.accounts.roles import Permission
from webapp.collector import runs
from webapp.collector.runs import Run
from webapp.collector.schemas import RunArguments, RunIn, RunOut, RunPage, RunWhole, SourceList
from webapp.collector.sources.known import sources_of
from webapp.pooling.extension import read, transact
from webapp.web import cursors
from webapp.web.idempotency import make_once
from webapp.web.openapi import ID, IDEMPOTENCY_KEY, LINK, LOCATION, api_blueprint, problems

blueprint = api_blueprint("collections", __name__, "", "Collecting questions from sources.")


@blueprint.route("/sources", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, SourceList)
@blueprint.doc(operationId="listSources")
@problems(blueprint, 401, 403)
def list_sources() -> dict[str, Any]:
    """List the sources that this installation knows, with their limits."""
    return {"sources": sources_of(current_app).all()}


@blueprint.route("/collection-runs", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(RunArguments, location="query")
@blueprint.response(200, RunPage, headers=LINK)
@blueprint.doc(operationId="listCollectionRuns")
@problems(blueprint, 401, 403, 422)
def list_runs(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List collection runs, the newest first."""
    before = cursors.decode(asked.get("cursor"))
    with read() as connection:
        found = runs.latest(connection, before, asked["limit"])
    page = cursors.Page(found.rows, found.next_before)
    return {"runs": page.rows, "next": page.cursor}, cursors.link_to_next(page)


@blueprint.route("/collection-runs", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(RunIn)
@blueprint.response(201, RunOut, headers=LOCATION)
@blueprint.doc(operationId="startCollection", parameters=[IDEMPOTENCY_KEY])
@problems(blueprint, 400, 401, 403, 404, 409, 413, 415, 422)
def start(given: dict[str, Any]) -> tuple[Run, dict[str, str]]:
    """Queue a run; a worker takes it up. A second one of the same source is a conflict that names the first."""
    source, by = sources_of(current_app).find(given["source"]), asking_user()
    run = make_once(by.id, lambda connection: runs.order(connection, source.name, by.name), runs.find)
    return run, {"Location": url_for("collections.read_run", run_id=run.id)}


@blueprint.route(f"/collection-runs/<{ID}:run_id>", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, RunWhole)
@blueprint.doc(operationId="readCollectionRun")
@problems(blueprint, 401, 403, 404)
def read_run(run_id: int) -> dict[str, Any]:
    """Read how far a run is, and what happened in it."""
    with read() as connection:
        run = runs.find(connection, run_id)
        parts, events = runs.parts(connection, run_id), runs.events(connection, run_id)
    return asdict(run) | {"parts": parts, "events": events}


@blueprint.route(f"/collection-runs/<{ID}:run_id>/cancel", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="cancelCollection")
@problems(blueprint, 401, 403, 404, 409, 415)
def cancel(run_id: int) -> Run:
    """End a run; what it has stored stays, and it can be resumed."""
    return transact(lambda connection: runs.cancel(connection, run_id))


@blueprint.route(f"/collection-runs/<{ID}:run_id>/resume", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="resumeCollection")
@problems(blueprint, 401, 403, 404, 409, 415)
def resume(run_id: int) -> Run:
    """Queue a run again that was cancelled, has failed or is paused; it goes on where it was."""
    return transact(lambda connection: runs.resume(connection, run_id))
