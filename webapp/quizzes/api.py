"""REST: quizzes as players read them, and as authors draft, publish and close them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, current_app, jsonify, request, url_for

from webapp.accounts.guard import api_for, asking_user
from webapp.accounts.roles import Permission
from webapp.pooling.extension import read, transact
from webapp.quizzes import drafts, published, publishing
from webapp.quizzes.drafts import Draft, DraftValues
from webapp.quizzes.published import QuizId, State, Version
from webapp.quizzes.schemas import (
    DraftIn,
    DraftLines,
    DraftListArguments,
    DraftOut,
    ListArguments,
    PublicQuiz,
    QuizLine,
    QuizLines,
    Window,
)
from webapp.quizzes.shelf import look_again_after_changes, shelf_of
from webapp.web import conditional, cursors
from webapp.web.idempotency import make_once
from webapp.web.openapi import (
    ETAG,
    ID,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    LINK,
    LOCATION,
    api_blueprint,
    problems,
)

blueprint = api_blueprint("quizzes", __name__, "/quizzes", "Draft, publish, open.")


@blueprint.after_request
def _look_again(response: Response) -> Response:
    look_again_after_changes(current_app, request.method)
    return response


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ListArguments, location="query")
@blueprint.response(200, QuizLines, headers=LINK)
@blueprint.doc(operationId="listQuizzes")
@problems(blueprint, 422)
def list_quizzes(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List published quizzes, open ones unless another state is asked for."""
    after = cursors.decode(asked.get("cursor"))
    with read() as connection:
        found = published.listing(connection, asked["state"], after, asked["limit"])
    page = cursors.Page(found.rows, found.next_after)
    return {"quizzes": page.rows, "next": page.cursor}, cursors.link_to_next(page)


@blueprint.route("", methods=["POST"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftIn)
@blueprint.response(201, DraftOut, headers=LOCATION | ETAG)
@blueprint.doc(operationId="createQuiz", parameters=[IDEMPOTENCY_KEY])
@problems(blueprint, 400, 401, 403, 409, 413, 415, 422)
def create_quiz(given: dict[str, Any]) -> tuple[Draft, dict[str, str]]:
    """Begin a draft."""
    values = _values(given)
    draft = make_once(asking_user().id, lambda connection: drafts.create(connection, values), drafts.find)
    location = {"Location": url_for("quizzes.read_draft", quiz_id=draft.id)}
    return draft, conditional.etag(draft.version) | location


@blueprint.route("/drafts", methods=["GET"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftListArguments, location="query")
@blueprint.response(200, DraftLines, headers=LINK)
@blueprint.doc(operationId="listDrafts")
@problems(blueprint, 401, 403, 422)
def list_drafts(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List all quizzes with their drafts, the newest first."""
    after = cursors.decode(asked.get("cursor"))
    with read() as connection:
        found = drafts.everything(connection, after, asked["limit"])
    page = cursors.Page(found.rows, found.next_after)
    return {"quizzes": page.rows, "next": page.cursor}, cursors.link_to_next(page)


@blueprint.route(f"/<{ID}:quiz_id>", methods=["GET"])
@blueprint.response(200, PublicQuiz, headers=ETAG)
@blueprint.doc(operationId="readQuiz", parameters=[IF_NONE_MATCH])
@blueprint.alt_response(304, description="Not modified")
@problems(blueprint, 404)
def read_quiz(quiz_id: int) -> Response:
    """Read a published quiz. Its questions come without their answers, from the moment it opens."""
    version = shelf_of(current_app).current(QuizId(quiz_id))
    response = jsonify(PublicQuiz().dump(_public(version)))
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@blueprint.route(f"/<{ID}:quiz_id>", methods=["DELETE"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.response(204)
@blueprint.doc(operationId="deleteQuiz")
@problems(blueprint, 401, 403, 404, 409)
def delete_quiz(quiz_id: int) -> None:
    """Delete a draft that was never published."""
    transact(lambda connection: drafts.remove(connection, quiz_id))


@blueprint.route(f"/<{ID}:quiz_id>/draft", methods=["GET"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.response(200, DraftOut, headers=ETAG)
@blueprint.doc(operationId="readDraft")
@problems(blueprint, 401, 403, 404)
def read_draft(quiz_id: int) -> tuple[Draft, dict[str, str]]:
    """Read a draft."""
    with read() as connection:
        draft = drafts.find(connection, quiz_id)
    return draft, conditional.etag(draft.version)


@blueprint.route(f"/<{ID}:quiz_id>/draft", methods=["PUT"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftIn)
@blueprint.response(200, DraftOut, headers=ETAG)
@blueprint.doc(operationId="changeDraft", parameters=[IF_MATCH])
@problems(blueprint, 400, 401, 403, 404, 409, 412, 413, 415, 422, 428)
def change_draft(given: dict[str, Any], quiz_id: int) -> tuple[Draft, dict[str, str]]:
    """Replace a draft; If-Match names the version it was read at. What is published does not change."""
    expected = conditional.expected_version()
    draft = transact(lambda connection: drafts.change(connection, quiz_id, _values(given), expected))
    return draft, conditional.etag(draft.version)


@blueprint.route(f"/<{ID}:quiz_id>/publish", methods=["POST"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.arguments(Window)
@blueprint.response(201, QuizLine, headers=LOCATION)
@blueprint.doc(operationId="publishQuiz")
@problems(blueprint, 400, 401, 403, 404, 413, 415, 422)
def publish_quiz(window: dict[str, datetime | None], quiz_id: int) -> tuple[Version, dict[str, str]]:
    """Freeze the draft into a new version with a window."""
    version = transact(
        lambda connection: publishing.publish(connection, quiz_id, window["opens_at"], window["closes_at"])
    )
    return version, {"Location": url_for("quizzes.read_quiz", quiz_id=quiz_id)}


@blueprint.route(f"/<{ID}:quiz_id>/close", methods=["POST"])
@api_for(Permission.EDIT_QUIZZES)
@blueprint.response(204)
@blueprint.doc(operationId="closeQuiz")
@problems(blueprint, 401, 403, 404)
def close_quiz(quiz_id: int) -> None:
    """End the window now. Closing a closed quiz changes nothing."""
    transact(lambda connection: publishing.close(connection, quiz_id))


def _values(given: dict[str, Any]) -> DraftValues:
    return DraftValues(given["title"], given["description"], given["slug"], tuple(given["items"]))


def _public(version: Version) -> dict[str, Any]:
    line = {name: getattr(version, name) for name in _LINE}
    questions = () if version.state is State.UPCOMING else version.document.questions
    return line | {"description": version.document.description, "questions": questions}


_LINE = ("quiz_id", "slug", "title", "number", "question_count", "opens_at", "closes_at", "state")
