"""REST: sources and collection runs, for authors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import current_app, url_for

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import get_current_user, require_api
from webapp.accounts.roles import Permission
from webapp.collector import runs
from webapp.collector.runs import Run
from webapp.collector.schemas import RunArguments, RunDetails, RunIn, RunOut, RunPage, SourceList
from webapp.collector.sources.registry import get_source_registry
from webapp.web.rest import pagination
from webapp.web.rest.idempotency import create_once
from webapp.web.rest.openapi import ID, IDEMPOTENCY_KEY, LINK, LOCATION, api_blueprint, problem_responses

blueprint = api_blueprint("collections", __name__, "", "Collecting questions from sources.")


@blueprint.route("/sources", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, SourceList)
@blueprint.doc(operationId="listSources")
@problem_responses(blueprint, 401, 403)
def list_sources() -> dict[str, Any]:
    """List the sources that this installation knows, with their limits."""
    return {"sources": get_source_registry(current_app).available()}


@blueprint.route("/collection-runs", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.arguments(RunArguments, location="query")
@blueprint.response(200, RunPage, headers=LINK)
@blueprint.doc(operationId="listCollectionRuns")
@problem_responses(blueprint, 401, 403, 422)
def list_runs(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List collection runs, the newest first."""
    before = pagination.decode_cursor(query.get("cursor"))
    with read() as connection:
        page = runs.list_runs(connection, before, query["limit"])
    return {"runs": page.rows, "next": page.cursor}, pagination.next_link_header(page)


@blueprint.route("/collection-runs", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.arguments(RunIn)
@blueprint.response(201, RunOut, headers=LOCATION)
@blueprint.doc(operationId="startCollection", parameters=[IDEMPOTENCY_KEY])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 413, 415, 422)
def start(body: dict[str, Any]) -> tuple[Run, dict[str, str]]:
    """Queue a run; a worker takes it up. A second one of the same source is a conflict that names the first."""
    source, by = get_source_registry(current_app).find(body["source"]), get_current_user()
    run = create_once(by.id, lambda connection: runs.enqueue(connection, source.name, by.name), runs.find)
    return run, {"Location": url_for("collections.read_run", run_id=run.id)}


@blueprint.route(f"/collection-runs/<{ID}:run_id>", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunDetails)
@blueprint.doc(operationId="readCollectionRun")
@problem_responses(blueprint, 401, 403, 404)
def read_run(run_id: int) -> dict[str, Any]:
    """Read how far a run is, and what happened in it."""
    with read() as connection:
        run = runs.find(connection, run_id)
        parts, events = runs.list_partitions(connection, run_id), runs.list_events(connection, run_id)
    return asdict(run) | {"parts": parts, "events": events}


@blueprint.route(f"/collection-runs/<{ID}:run_id>/cancel", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="cancelCollection")
@problem_responses(blueprint, 401, 403, 404, 409, 415)
def cancel(run_id: int) -> Run:
    """End a run; what it has stored stays, and it can be resumed."""
    return run_in_transaction(lambda connection: runs.cancel(connection, run_id))


@blueprint.route(f"/collection-runs/<{ID}:run_id>/resume", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="resumeCollection")
@problem_responses(blueprint, 401, 403, 404, 409, 415)
def resume(run_id: int) -> Run:
    """Queue a run again that was cancelled, has failed or is paused; it goes on where it was."""
    return run_in_transaction(lambda connection: runs.resume(connection, run_id))
