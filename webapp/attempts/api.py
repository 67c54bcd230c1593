"""REST: start, answer, finish and read an attempt, and the leaderboard. The token in the URL is the key."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request

from poolproof.integrations.flask_ext import run_in_transaction
from webapp.attempts import erasure, operations, presenter, serializers
from webapp.attempts.operations import get_leaderboards
from webapp.attempts.schemas import (
    AnswerIn,
    AnswerOut,
    AttemptOut,
    LeaderboardArguments,
    LeaderboardOut,
    StartIn,
    StartOut,
    StoredDataOut,
)
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.web.fast_path.middleware import flask_response
from webapp.web.file_names import content_disposition
from webapp.web.rest import repeating
from webapp.web.rest.openapi import DISPOSITION, ID, LOCATION, api_blueprint, problem_responses

blueprint = api_blueprint("attempts", __name__, "", "Play.")


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/attempts", methods=["POST"])
@blueprint.arguments(StartIn, required=False)
@blueprint.response(201, StartOut, headers=LOCATION)
@blueprint.doc(operationId="startAttempt")
@problem_responses(blueprint, 400, 404, 409, 410, 413, 415, 422)
def start_attempt(body: dict[str, Any], quiz_id: int) -> Response:
    """Start an attempt at an open quiz, or go on with the one that this player has begun.

    Nothing is stored before the first answer.
    """
    return flask_response(operations.start(_service(), quiz_id, body, request.script_root))


@blueprint.route("/attempts/<token>", methods=["GET"])
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="readAttempt")
@problem_responses(blueprint, 404, 410)
def read_attempt(token: str) -> dict[str, Any]:
    """Read an attempt; once it is finished, with the right answers and explanations as soon as the quiz shows them."""
    service = _service()
    claim = service.verify(token)
    snapshot, rank = service.read(claim), None
    if snapshot.state.finished_at is not None:
        rank = presenter.find_rank(service.standings(snapshot.version), snapshot.state)
    return serializers.dump_attempt(presenter.build_view(claim, snapshot, rank))


@blueprint.route("/attempts/<token>", methods=["DELETE"])
@blueprint.response(204)
@blueprint.doc(operationId="eraseAttempt")
@problem_responses(blueprint, 404, 429)
def erase_attempt(token: str) -> None:
    """Erase all that is stored of an attempt: name, answers, result, place. Erasing it again changes nothing.

    Afterwards it takes no answers, also none that are on their way, and its other addresses answer 410.
    """
    service = _service()
    claim = service.verify_write(token)
    # A test play is in its token alone: there is nothing to erase, and no row to make.
    service.quiz_cache.by_version(claim.version_id)
    run_in_transaction(lambda connection: erasure.erase(connection, claim), idempotent=True)
    service.forget(claim)


@blueprint.route("/attempts/<token>/data", methods=["GET"])
@blueprint.response(200, StoredDataOut, headers=DISPOSITION)
@blueprint.doc(operationId="readStoredData")
@problem_responses(blueprint, 404, 410)
def read_data(token: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Read all that is stored of an attempt, to take it along."""
    service = _service()
    claim, version = service.find(token)
    data = service.load_data(claim)
    body = serializers.dump_data(claim, version, data, service.time_limits.kept_days(version.rules))
    return body, {"Content-Disposition": content_disposition(f"{version.slug}.json")}


@blueprint.route(f"/attempts/<token>/answers/<{ID}:item_id>", methods=["PUT"])
@blueprint.arguments(AnswerIn)
@blueprint.response(200, AnswerOut)
@blueprint.doc(operationId="putAnswer")
@problem_responses(blueprint, 400, 404, 409, 410, 413, 415, 422, 429)
def put_answer(body: dict[str, Any], token: str, item_id: int) -> Response:
    """Answer an item, or change the answer. Repeating it is safe; 200 means that it, or a newer one, is stored."""
    service = _service()
    return flask_response(operations.answer(service, service.find(token), item_id, body).result())


@blueprint.route("/attempts/<token>/finish", methods=["POST"])
@repeating.safe_to_repeat
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="finishAttempt")
@problem_responses(blueprint, 404, 409, 410, 415, 429)
def finish_attempt(token: str) -> Response:
    """Finish and score. Repeating it returns the same result. Right answers come with it where the quiz shows them."""
    service = _service()
    return flask_response(operations.finish(service, service.find(token)).result())


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/leaderboard", methods=["GET"])
@blueprint.arguments(LeaderboardArguments, location="query")
@blueprint.response(200, LeaderboardOut)
@blueprint.doc(operationId="readLeaderboard")
@problem_responses(blueprint, 404, 422)
def read_leaderboard(query: dict[str, int], quiz_id: int) -> Response:
    """Read the leaderboard of a quiz's latest version."""
    return flask_response(get_leaderboards(current_app).read(_service(), quiz_id, query["limit"]))


def _service() -> AttemptService:
    return get_attempt_service(current_app)
