"""Pages: the results of a quiz, for its authors."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template

from poolproof.integrations.flask_ext import read
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.attempts.service import get_attempt_service
from webapp.quizzes.published import QuizId
from webapp.results import reports
from webapp.web.rest.openapi import ID

blueprint = Blueprint("result_pages", __name__, url_prefix="/studio/quizzes")


@blueprint.get(f"/<{ID}:quiz_id>/results")
@require_page(Permission.SEE_RESULTS)
def results(quiz_id: int) -> str:
    """Show totals, the leaderboard, and how each question was answered."""
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    with read() as connection:
        report = reports.load_report(connection, quiz_id)
    return render_template("results/results.html", report=report, quiz_id=quiz_id)
