"""REST: the results of a quiz, for its authors."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify, request

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts.auth import require_api
from webapp.accounts.roles import Permission
from webapp.attempts import player_rows
from webapp.attempts.counting import counting_of
from webapp.attempts.scoring import as_positions
from webapp.attempts.service import get_attempt_service
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.quizzes.published_cache import get_published_cache
from webapp.results import exports, reports
from webapp.results.marks import marks_of
from webapp.results.schemas import PlayersArguments, PlayersOut, ResultsExportArguments, ResultsOut
from webapp.web import long_work
from webapp.web.rest import pagination
from webapp.web.rest.openapi import ETAG, ID, IF_NONE_MATCH, LINK, api_blueprint, problem_responses

blueprint = api_blueprint("results", __name__, "/quizzes", "Results.")

TOTALS = ("begun", "finished", "mean_score", "mean_milliseconds")
FILE_CONTENT: dict[str, Any] = {media_type.partition(";")[0]: {} for media_type in exports.MEDIA_TYPES.values()}


@blueprint.route(f"/<{ID}:quiz_id>/results", methods=["GET"])
@require_api(Permission.SEE_RESULTS)
@blueprint.response(200, ResultsOut, headers=ETAG)
@blueprint.doc(operationId="readResults", parameters=[IF_NONE_MATCH])
@blueprint.alt_response(304, description="Not modified")
@problem_responses(blueprint, 401, 403, 404)
def read_results(quiz_id: int) -> Response:
    """Read totals and how each question was answered, also while the quiz runs."""
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    with read() as connection:
        report = reports.load_report(connection, quiz_id)
    body = {name: getattr(report.totals, name) for name in TOTALS}
    body |= {"quiz": quiz_id, "number": report.version.number, "questions": report.questions, "deleted": report.deleted}
    response = jsonify(ResultsOut().dump(body))
    response.set_etag(report.tag)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@blueprint.route(f"/<{ID}:quiz_id>/results/players", methods=["GET"])
@require_api(Permission.SEE_RESULTS)
@blueprint.arguments(PlayersArguments, location="query")
@blueprint.response(200, PlayersOut, headers=LINK)
@blueprint.doc(operationId="listPlayers")
@problem_responses(blueprint, 401, 403, 404, 422)
def list_players(query: dict[str, Any], quiz_id: int) -> tuple[dict[str, Any], dict[str, str]]:
    """List the players with their answers, the best first, and then those who have no score yet."""
    after = player_rows.parse_cursor(query.get("cursor"))
    version = _settled(quiz_id)
    counting = counting_of(version.rules)
    with read() as connection:
        page = player_rows.list_best(connection, version.version_id, after, query["limit"], counting)
    players = [_dump_player(version.document, row) for row in page.rows]
    return {"players": players, "next": page.cursor}, pagination.next_link_header(page)


@blueprint.route(f"/<{ID}:quiz_id>/results/export", methods=["GET"])
@require_api(Permission.SEE_RESULTS)
@long_work.takes_long()
@blueprint.arguments(ResultsExportArguments, location="query")
@blueprint.doc(operationId="exportResults", responses={200: {"description": "The file", "content": FILE_CONTENT}})
@problem_responses(blueprint, 401, 403, 404, 422)
def export_results(query: dict[str, Any], quiz_id: int) -> Response:
    """Send the results of all players as a file, a row for each attempt. Cells are never formulas."""
    version, file_format = _settled(quiz_id), query["format"]
    pieces = exports.stream_results(get_pooling().background, version, file_format)
    return Response(pieces, headers=exports.response_headers(version, file_format))


def _settled(quiz_id: int) -> PublishedVersion:
    """Return the latest version of a quiz; what is over by now is scored."""
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    return get_published_cache(current_app).current(QuizId(quiz_id))


def _dump_player(document: QuizDocument, row: player_rows.PlayerRow) -> dict[str, Any]:
    marks = marks_of(document, row)
    answers = [
        {
            "item": question.item_id,
            "chosen": as_positions(row.answers.get(question.item_id) or 0),
            "mark": marks[question.item_id],
        }
        for question in document.questions
        if question.item_id in marks
    ]
    names = ("started_at", "finished_at", "score", "milliseconds", "number", "counts")
    return {name: getattr(row, name) for name in names} | {"name": row.player_name, "answers": answers}
