"""REST: start, answer, finish, look, and the board. The token in the address is the key."""

from __future__ import annotations

from typing import Any

from flask import current_app, url_for

from webapp.attempts import bodies, tokens, views
from webapp.attempts.playing import Playing, playing_of
from webapp.attempts.schemas import AnswerIn, AnswerOut, AttemptOut, Board, BoardArguments, StartIn, StartOut
from webapp.pooling.extension import read
from webapp.quizzes.published import QuizId
from webapp.web.openapi import ID, LOCATION, api_blueprint, problems

blueprint = api_blueprint("attempts", __name__, "", "Play.")


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/attempts", methods=["POST"])
@blueprint.arguments(StartIn)
@blueprint.response(201, StartOut, headers=LOCATION)
@blueprint.doc(operationId="startAttempt")
@problems(blueprint, 400, 404, 409, 413, 415, 422)
def start_attempt(given: dict[str, Any], quiz_id: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Start an attempt at an open quiz. Nothing is stored before the first answer."""
    playing = _playing()
    player = tokens.read_player(given["player"], playing.key)
    started = playing.start(QuizId(quiz_id), given["name"].strip(), player)
    return bodies.started(started, playing.good_for), {
        "Location": url_for("attempts.read_attempt", token=started.token)
    }


@blueprint.route("/attempts/<token>", methods=["GET"])
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="readAttempt")
@problems(blueprint, 404)
def read_attempt(token: str) -> dict[str, Any]:
    """Read an attempt; once it is finished, with the right answers and explanations."""
    playing = _playing()
    claim = playing.claim(token)
    version = playing.shelf.by_version(claim.version_id)
    with read() as connection:
        found = views.standing(connection, claim, version)
    place = None
    if found.progress.finished_at is not None:
        place = views.rank(playing.boards.standings(claim.version_id), found.progress)
    return bodies.attempt(views.view(claim, found, place))


@blueprint.route(f"/attempts/<token>/answers/<{ID}:item_id>", methods=["PUT"])
@blueprint.arguments(AnswerIn)
@blueprint.response(200, AnswerOut)
@blueprint.doc(operationId="putAnswer")
@problems(blueprint, 400, 404, 409, 413, 415, 422, 429)
def put_answer(given: dict[str, list[int]], token: str, item_id: int) -> dict[str, Any]:
    """Answer an item, or change the answer. Sent again it does no harm; 200 means that it is stored."""
    return bodies.answered(item_id, _playing().answer(token, item_id, given["choices"]))


@blueprint.route("/attempts/<token>/finish", methods=["POST"])
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="finishAttempt")
@problems(blueprint, 404, 409, 415, 429)
def finish_attempt(token: str) -> dict[str, Any]:
    """Finish and score. Sent again it answers with the same result."""
    return bodies.attempt(_playing().finish(token))


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/leaderboard", methods=["GET"])
@blueprint.arguments(BoardArguments, location="query")
@blueprint.response(200, Board)
@blueprint.doc(operationId="readLeaderboard")
@problems(blueprint, 404, 422)
def read_leaderboard(asked: dict[str, int], quiz_id: int) -> dict[str, Any]:
    """Read the board of a quiz's latest version."""
    version, standings = _playing().board(QuizId(quiz_id))
    return bodies.board(quiz_id, version, standings, asked["limit"])


def _playing() -> Playing:
    return playing_of(current_app)
