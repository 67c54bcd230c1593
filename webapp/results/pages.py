"""Pages: the results of a quiz, for its authors; while it runs they follow it."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, current_app, render_template, request

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.attempts import player_rows
from webapp.attempts.counting import counting_of
from webapp.attempts.service import get_attempt_service
from webapp.errors import NotFoundError
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.quizzes.published_cache import get_published_cache
from webapp.results import analysis, exports
from webapp.results.exports import ExportFormat
from webapp.results.marks import marks_of
from webapp.results.report_cache import ReportCache
from webapp.web import long_work
from webapp.web.rest.openapi import ID

blueprint = Blueprint("result_pages", __name__, url_prefix="/studio/quizzes")

PLAYERS_ON_PAGE = 100


@blueprint.get(f"/<{ID}:quiz_id>/results")
@require_page(Permission.SEE_RESULTS)
def results(quiz_id: int) -> str | tuple[str, int]:
    """Show totals, the first players, and how each question was answered.

    `?part=live` returns the part of the page that changes, or nothing (204) where `after` is the tag of what there is.
    """
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    report = cast("ReportCache", current_app.extensions["report_cache"]).get(quiz_id)
    is_part = request.args.get("part") == "live"
    if is_part and request.args.get("after") == report.tag:
        return "", 204
    template = "results/live.html" if is_part else "results/results.html"
    kept_days = get_attempt_service(current_app).time_limits.kept_days(report.version.rules)
    return render_template(
        template, report=report, quiz_id=quiz_id, marks_of=marks_of, rule=analysis, kept_days=kept_days
    )


@blueprint.get(f"/<{ID}:quiz_id>/results/players")
@require_page(Permission.SEE_RESULTS)
def players(quiz_id: int) -> str:
    """Show a page of all players, the best first."""
    after = player_rows.parse_cursor(request.args.get("cursor"))
    version = _settled(quiz_id)
    counting = counting_of(version.rules)
    with read() as connection:
        page = player_rows.list_best(connection, version.version_id, after, PLAYERS_ON_PAGE, counting)
    return render_template("results/players.html", version=version, page=page, quiz_id=quiz_id, marks_of=marks_of)


@blueprint.get(f"/<{ID}:quiz_id>/results/export")
@require_page(Permission.SEE_RESULTS)
@long_work.takes_long()
def export(quiz_id: int) -> Response:
    """Send the results of all players as a file; `?format=xlsx` as a workbook."""
    file_format = request.args.get("format", ExportFormat.CSV)
    if file_format not in set(ExportFormat):
        raise NotFoundError("Results are exported as csv or xlsx.")
    version, chosen = _settled(quiz_id), ExportFormat(file_format)
    pieces = exports.stream_results(get_pooling().background, version, chosen)
    return Response(pieces, headers=exports.response_headers(version, chosen))


def _settled(quiz_id: int) -> PublishedVersion:
    """Return the latest version of a quiz; what is over by now is scored."""
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    return get_published_cache(current_app).current(QuizId(quiz_id))
