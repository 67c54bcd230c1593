"""REST: start, answer, finish, look, and the board. The token in the address is the key."""

from __future__ import annotations

from typing import Any

from flask import current_app, url_for

from webapp.attempts import scoring, starting, tokens, views
from webapp.attempts.board import boards_of
from webapp.attempts.schemas import AnswerIn, AnswerOut, AttemptOut, Board, BoardArguments, StartIn, StartOut
from webapp.attempts.tokens import Claim
from webapp.attempts.views import AttemptView, Standing
from webapp.attempts.writer import writer_of
from webapp.pooling.extension import read
from webapp.quizzes.published import QuizId
from webapp.quizzes.shelf import shelf_of
from webapp.web.openapi import ID, LOCATION, api_blueprint, problems

blueprint = api_blueprint("attempts", __name__, "", "Play.")


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/attempts", methods=["POST"])
@blueprint.arguments(StartIn)
@blueprint.response(201, StartOut, headers=LOCATION)
@blueprint.doc(operationId="startAttempt")
@problems(blueprint, 400, 404, 409, 413, 415, 422)
def start_attempt(given: dict[str, Any], quiz_id: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Start an attempt at an open quiz. Nothing is stored before the first answer."""
    key = current_app.config["SECRET_KEY"]
    player_id = tokens.read_player(given["player"], key) or tokens.new_player()
    version = shelf_of(current_app).current(QuizId(quiz_id))
    claim = starting.start(version, player_id, given["name"].strip())
    token = tokens.issue(claim, key)
    started = {
        "token": token,
        "player": tokens.issue_player(player_id, key),
        "started_at": claim.started_at,
        "expires_in": current_app.config["ATTEMPT_SECONDS"],
    }
    return started, {"Location": url_for("attempts.read_attempt", token=token)}


@blueprint.route("/attempts/<token>", methods=["GET"])
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="readAttempt")
@problems(blueprint, 404)
def read_attempt(token: str) -> dict[str, Any]:
    """Read an attempt; once it is finished, with the right answers and explanations."""
    return _dumped(_view(_claim_of(token)))


@blueprint.route(f"/attempts/<token>/answers/<{ID}:item_id>", methods=["PUT"])
@blueprint.arguments(AnswerIn)
@blueprint.response(200, AnswerOut)
@blueprint.doc(operationId="putAnswer")
@problems(blueprint, 400, 404, 409, 413, 415, 422)
def put_answer(given: dict[str, list[int]], token: str, item_id: int) -> dict[str, Any]:
    """Answer an item, or change the answer. Sent again it does no harm; 200 means that it is stored."""
    claim = _claim_of(token)
    version = shelf_of(current_app).by_version(claim.version_id)
    bits = scoring.as_bits(version.document.question(item_id), given["choices"])
    writer_of(current_app).save(claim, version, {item_id: bits})
    return {"item": item_id, "choices": scoring.as_positions(bits), "saved": True}


@blueprint.route("/attempts/<token>/finish", methods=["POST"])
@blueprint.response(200, AttemptOut)
@blueprint.doc(operationId="finishAttempt")
@problems(blueprint, 404, 409, 415)
def finish_attempt(token: str) -> dict[str, Any]:
    """Finish and score. Sent again it answers with the same result."""
    claim = _claim_of(token)
    version = shelf_of(current_app).by_version(claim.version_id)
    progress = writer_of(current_app).finish(claim, version.document)
    place = views.rank(boards_of(current_app).standings(claim.version_id), progress)
    return _dumped(views.view(claim, Standing(version, progress), place))


@blueprint.route(f"/quizzes/<{ID}:quiz_id>/leaderboard", methods=["GET"])
@blueprint.arguments(BoardArguments, location="query")
@blueprint.response(200, Board)
@blueprint.doc(operationId="readLeaderboard")
@problems(blueprint, 404, 422)
def read_leaderboard(asked: dict[str, int], quiz_id: int) -> dict[str, Any]:
    """Read the board of a quiz's latest version."""
    version = shelf_of(current_app).current(QuizId(quiz_id))
    board = boards_of(current_app).standings(version.version_id)
    places = board.places[: asked["limit"]]
    return {"quiz": quiz_id, "out_of": version.question_count, "finished": board.finished, "places": places}


def _claim_of(token: str) -> Claim:
    return tokens.read(token, current_app.config["SECRET_KEY"], current_app.config["ATTEMPT_SECONDS"])


def _view(claim: Claim) -> AttemptView:
    version = shelf_of(current_app).by_version(claim.version_id)
    with read() as connection:
        found = views.standing(connection, claim, version)
    place = None
    if found.progress.finished_at is not None:
        place = views.rank(boards_of(current_app).standings(claim.version_id), found.progress)
    return views.view(claim, found, place)


def _dumped(shown: AttemptView) -> dict[str, Any]:
    finished = shown.finished_at is not None
    questions = []
    for question in shown.questions:
        in_place = sorted(question.choices, key=lambda choice: choice.position)
        body: dict[str, Any] = {
            "item": question.item,
            "kind": question.kind,
            "stem": question.stem,
            "choices": [choice.text for choice in in_place],
            "order": [choice.position for choice in question.choices],
            "chosen": [choice.position for choice in in_place if choice.chosen],
        }
        if finished:
            body["right"] = [choice.position for choice in in_place if choice.right]
            body |= {"is_right": question.is_right, "explanation": question.explanation}
        questions.append(body)
    names = ("quiz", "slug", "title", "player_name", "state", "closes_at", "started_at", "finished_at")
    facts = {name: getattr(shown, name) for name in (*names, "score", "out_of", "milliseconds", "rank")}
    return facts | {"questions": questions}
