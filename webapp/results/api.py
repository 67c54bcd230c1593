"""REST: the results of a quiz, for its authors."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import fields

from poolproof.integrations.flask_ext import read
from webapp.accounts.auth import require_api
from webapp.accounts.roles import Permission
from webapp.attempts.service import get_attempt_service
from webapp.quizzes.published import QuizId
from webapp.results import reports
from webapp.web.rest.openapi import ID, BaseSchema, api_blueprint, problem_responses

blueprint = api_blueprint("results", __name__, "/quizzes", "Results.")


class ChoiceOut(BaseSchema):
    """A choice and how many players chose it."""

    text = fields.String(required=True)
    right = fields.Boolean(required=True)
    count = fields.Integer(required=True)


class QuestionOut(BaseSchema):
    """A question and how it was answered."""

    item = fields.Integer(required=True)
    stem = fields.String(required=True)
    answered = fields.Integer(required=True)
    right = fields.Integer(required=True)
    share_right = fields.Float(required=True, allow_none=True)
    choices = fields.List(fields.Nested(ChoiceOut), required=True)


class ResultsOut(BaseSchema):
    """The results of a quiz's latest version."""

    quiz = fields.Integer(required=True)
    number = fields.Integer(required=True)
    begun = fields.Integer(required=True)
    finished = fields.Integer(required=True)
    mean_score = fields.Float(required=True, allow_none=True)
    mean_milliseconds = fields.Float(required=True, allow_none=True)
    questions = fields.List(fields.Nested(QuestionOut), required=True)


@blueprint.route(f"/<{ID}:quiz_id>/results", methods=["GET"])
@require_api(Permission.SEE_RESULTS)
@blueprint.response(200, ResultsOut)
@blueprint.doc(operationId="readResults")
@problem_responses(blueprint, 401, 403, 404)
def read_results(quiz_id: int) -> dict[str, Any]:
    """Read totals and how each question was answered."""
    get_attempt_service(current_app).settle_latest(QuizId(quiz_id))
    with read() as connection:
        report = reports.load_report(connection, quiz_id)
    names = ("begun", "finished", "mean_score", "mean_milliseconds")
    totals = {name: getattr(report.totals, name) for name in names}
    return totals | {"quiz": quiz_id, "number": report.version.number, "questions": report.questions}
