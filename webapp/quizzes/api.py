"""REST: quizzes for players to read, and for authors to draft, publish, change the rules of, and close."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, cast

from flask import Response, current_app, jsonify, request, url_for

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import get_current_user, require_api
from webapp.accounts.roles import Permission
from webapp.quizzes import draft_list, drafts, published, publishing
from webapp.quizzes.draft_schemas import DraftIn, DraftLines, DraftListArguments, DraftOut
from webapp.quizzes.drafts import Draft, DraftValues, Section
from webapp.quizzes.draws import Draw
from webapp.quizzes.published import PublishedVersion, QuizId, QuizState
from webapp.quizzes.published_cache import get_published_cache, invalidate_after_write
from webapp.quizzes.rules import RuleChanges
from webapp.quizzes.schemas import (
    ListArguments,
    Publication,
    PublicQuiz,
    QuizLine,
    QuizLines,
    RulesIn,
)
from webapp.web.rest import conditional, pagination
from webapp.web.rest.idempotency import create_once
from webapp.web.rest.openapi import (
    ETAG,
    ID,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    LINK,
    LOCATION,
    api_blueprint,
    problem_responses,
)

blueprint = api_blueprint("quizzes", __name__, "/quizzes", "Draft, publish, open.")


@blueprint.after_request
def _invalidate_cache(response: Response) -> Response:
    invalidate_after_write(current_app, request.method)
    return response


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ListArguments, location="query")
@blueprint.response(200, QuizLines, headers=LINK)
@blueprint.doc(operationId="listQuizzes")
@problem_responses(blueprint, 422)
def list_quizzes(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List published quizzes, open ones unless another state is asked for."""
    after = pagination.decode_cursor(query.get("cursor"))
    with read() as connection:
        page = published.list_by_state(connection, query["state"], after, query["limit"])
    return {"quizzes": page.rows, "next": page.cursor}, pagination.next_link_header(page)


@blueprint.route("", methods=["POST"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftIn)
@blueprint.response(201, DraftOut, headers=LOCATION | ETAG)
@blueprint.doc(operationId="createQuiz", parameters=[IDEMPOTENCY_KEY])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 413, 415, 422)
def create_quiz(body: dict[str, Any]) -> tuple[Draft, dict[str, str]]:
    """Begin a draft."""
    values = _draft_values(body)
    draft = create_once(get_current_user().id, lambda connection: drafts.create(connection, values), drafts.find)
    location = {"Location": url_for("quizzes.read_draft", quiz_id=draft.id)}
    return draft, conditional.etag(draft.version) | location


@blueprint.route("/drafts", methods=["GET"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftListArguments, location="query")
@blueprint.response(200, DraftLines, headers=LINK)
@blueprint.doc(operationId="listDrafts")
@problem_responses(blueprint, 401, 403, 422)
def list_drafts(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List all quizzes with their drafts, the newest first."""
    after = pagination.decode_cursor(query.get("cursor"))
    with read() as connection:
        page = draft_list.list_drafts(connection, after, query["limit"])
    return {"quizzes": page.rows, "next": page.cursor}, pagination.next_link_header(page)


@blueprint.route(f"/<{ID}:quiz_id>", methods=["GET"])
@blueprint.response(200, PublicQuiz, headers=ETAG)
@blueprint.doc(operationId="readQuiz", parameters=[IF_NONE_MATCH])
@blueprint.alt_response(304, description="Not modified")
@problem_responses(blueprint, 404)
def read_quiz(quiz_id: int) -> Response:
    """Read a published quiz. Its questions come without their answers, from the moment it opens."""
    version = get_published_cache(current_app).current(QuizId(quiz_id))
    response = jsonify(PublicQuiz().dump(_public_document(version)))
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@blueprint.route(f"/<{ID}:quiz_id>", methods=["PATCH"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.arguments(RulesIn, required=False)
@blueprint.response(200, QuizLine)
@blueprint.doc(operationId="changeRules")
@problem_responses(blueprint, 400, 401, 403, 404, 413, 415, 422)
def change_rules(changes: RuleChanges, quiz_id: int) -> PublishedVersion:
    """Change the rules of a published quiz: title, window, time, attempts, right answers. No new version is made.

    Attempts and the leaderboard stay, and every worker sees the change within a second. An attempt that is not finished
    goes on when the window is lengthened, also after its end.
    """
    return run_in_transaction(lambda connection: publishing.change_rules(connection, quiz_id, changes))


@blueprint.route(f"/<{ID}:quiz_id>", methods=["DELETE"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.response(204)
@blueprint.doc(operationId="deleteQuiz")
@problem_responses(blueprint, 401, 403, 404, 409)
def delete_quiz(quiz_id: int) -> None:
    """Delete a draft that was never published."""
    run_in_transaction(lambda connection: drafts.remove(connection, quiz_id))


@blueprint.route(f"/<{ID}:quiz_id>/draft", methods=["GET"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.response(200, DraftOut, headers=ETAG)
@blueprint.doc(operationId="readDraft")
@problem_responses(blueprint, 401, 403, 404)
def read_draft(quiz_id: int) -> tuple[Draft, dict[str, str]]:
    """Read a draft."""
    with read() as connection:
        draft = drafts.find(connection, quiz_id)
    return draft, conditional.etag(draft.version)


@blueprint.route(f"/<{ID}:quiz_id>/draft", methods=["PUT"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.arguments(DraftIn)
@blueprint.response(200, DraftOut, headers=ETAG)
@blueprint.doc(operationId="changeDraft", parameters=[IF_MATCH])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 412, 413, 415, 422, 428)
def change_draft(body: dict[str, Any], quiz_id: int) -> tuple[Draft, dict[str, str]]:
    """Replace a draft; If-Match names the version that was read. Published versions do not change."""
    expected = conditional.expected_version()
    draft = run_in_transaction(lambda connection: drafts.change(connection, quiz_id, _draft_values(body), expected))
    return draft, conditional.etag(draft.version)


@blueprint.route(f"/<{ID}:quiz_id>/publish", methods=["POST"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.arguments(Publication, required=False)
@blueprint.response(201, QuizLine, headers=LOCATION)
@blueprint.doc(operationId="publishQuiz", parameters=[IDEMPOTENCY_KEY])
@problem_responses(blueprint, 400, 401, 403, 404, 413, 415, 422)
def publish_quiz(rules: dict[str, Any], quiz_id: int) -> tuple[PublishedVersion, dict[str, str]]:
    """Freeze the draft into a new version. The rules are changed without one, by PATCH of the quiz.

    Where the quiz was published before, its leaderboard and its results begin anew with the new version. Attempts that
    are running go on with the questions of theirs, and are not on the new leaderboard. Everyone may play again.
    """
    given = [rules.pop(name) for name in ("opens_at", "closes_at", "answers_shown")]
    is_unlisted = rules.pop("is_unlisted")
    version = create_once(
        get_current_user().id,
        lambda connection: publishing.publish(
            connection, quiz_id, *given, is_unlisted=is_unlisted, other_rules=cast("RuleChanges", rules)
        ),
        published.by_version,
        id_of=attrgetter("version_id"),
    )
    return version, {"Location": url_for("quizzes.read_quiz", quiz_id=quiz_id)}


@blueprint.route(f"/<{ID}:quiz_id>/close", methods=["POST"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.response(204)
@blueprint.doc(operationId="closeQuiz")
@problem_responses(blueprint, 401, 403, 404)
def close_quiz(quiz_id: int) -> None:
    """End the window now. Closing a closed quiz changes nothing."""
    run_in_transaction(lambda connection: publishing.close(connection, quiz_id))


def _draft_values(body: dict[str, Any]) -> DraftValues:
    item_ids = tuple(body["items"])
    sections = tuple(Section(**section) for section in body["sections"])
    draws = tuple(Draw(**{**draw, "position": min(draw["position"], len(item_ids))}) for draw in body["draws"])
    return DraftValues(body["title"], body["description"], body["slug"], item_ids, sections, body["points"], draws)


def _public_document(version: PublishedVersion) -> dict[str, Any]:
    document = version.document
    pools = [(pool, document.question(pool.item_ids[0]).points) for pool in document.pools]
    return {name: getattr(version, name) for name in _SUMMARY_FIELDS} | {
        "description": document.description,
        "out_of": document.max_score,
        "questions": () if version.state is QuizState.UPCOMING else document.common_questions,
        "draws": [{"position": pool.position, "size": pool.size, "points": points} for pool, points in pools],
    }


_SUMMARY_FIELDS = (
    "quiz_id", "slug", "title", "number", "question_count", "opens_at", "closes_at", "answers_shown", "is_unlisted",
    "keep_days", "rules", "state",
)  # fmt: skip
