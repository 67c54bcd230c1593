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
    """List the sources of this installation, with their limits."""
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
    """Queue a run for a worker. A second active run of the same source is a conflict that names the first."""
    source, user = get_source_registry(current_app).find(body["source"]), get_current_user()
    run = create_once(user.id, lambda connection: runs.enqueue(connection, source.name, user.name), runs.find)
    return run, {"Location": url_for("collections.read_run", run_id=run.id)}


@blueprint.route(f"/collection-runs/<{ID}:run_id>", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunDetails)
@blueprint.doc(operationId="readCollectionRun")
@problem_responses(blueprint, 401, 403, 404)
def read_run(run_id: int) -> dict[str, Any]:
    """Read the progress and the events of a run."""
    with read() as connection:
        progress = runs.read_progress(connection, run_id)
    return asdict(progress.run) | {"parts": progress.partitions, "events": progress.events}


@blueprint.route(f"/collection-runs/<{ID}:run_id>/cancel", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="cancelCollection")
@problem_responses(blueprint, 401, 403, 404, 409, 415)
def cancel(run_id: int) -> Run:
    """Cancel a run; what it has stored stays, and it can be resumed."""
    return run_in_transaction(lambda connection: runs.cancel(connection, run_id))


@blueprint.route(f"/collection-runs/<{ID}:run_id>/resume", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, RunOut)
@blueprint.doc(operationId="resumeCollection")
@problem_responses(blueprint, 401, 403, 404, 409, 415)
def resume(run_id: int) -> Run:
    """Queue a cancelled, failed or paused run again; it continues where it stopped."""
    return run_in_transaction(lambda connection: runs.resume(connection, run_id))
