"""REST: the join code of a published quiz, for its authors."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request, url_for
from marshmallow import fields
from sqlalchemy import Connection

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import require_api
from webapp.accounts.roles import Permission
from webapp.errors import NotFoundError
from webapp.quizzes import join_code_store, published
from webapp.quizzes.published import QuizId
from webapp.quizzes.published_cache import invalidate_after_write
from webapp.web.rest.openapi import ID, BaseSchema, api_blueprint, problem_responses

blueprint = api_blueprint("join_codes", __name__, "/quizzes", "The code with which players find a quiz.")


class JoinCodeOut(BaseSchema):
    """A join code."""

    code = fields.String(
        required=True, metadata={"description": "Six letters and digits; case, blanks and hyphens make no difference"}
    )
    address = fields.String(required=True, metadata={"description": "Leads to the quiz; what a QR code holds"})


@blueprint.after_request
def _invalidate_cache(response: Response) -> Response:
    invalidate_after_write(current_app, request.method)
    return response


@blueprint.route(f"/<{ID}:quiz_id>/join-code", methods=["GET"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.response(200, JoinCodeOut)
@blueprint.doc(operationId="readJoinCode")
@problem_responses(blueprint, 401, 403, 404)
def read_join_code(quiz_id: int) -> dict[str, Any]:
    """Read the join code of a published quiz."""
    with read() as connection:
        published.current(connection, QuizId(quiz_id))
        code = join_code_store.find(connection, quiz_id)
    if code is None:
        raise NotFoundError("The quiz was published before there were join codes; make one by POST.")
    return _join_code(code)


@blueprint.route(f"/<{ID}:quiz_id>/join-code", methods=["POST"])
@require_api(Permission.EDIT_QUIZZES)
@blueprint.response(200, JoinCodeOut)
@blueprint.doc(operationId="renewJoinCode")
@problem_responses(blueprint, 401, 403, 404)
def renew_join_code(quiz_id: int) -> dict[str, Any]:
    """Give a published quiz another join code. The former one leads nowhere from now on."""

    def renew(connection: Connection) -> str:
        published.current(connection, QuizId(quiz_id))
        return join_code_store.renew(connection, quiz_id)

    return _join_code(run_in_transaction(renew))


def _join_code(code: str) -> dict[str, Any]:
    return {"code": code, "address": url_for("join_pages.join_by_address", code=code, _external=True)}
