"""What a client can find out by asking the API itself: its root, and the methods of an address."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Flask, Response, request, url_for
from marshmallow import fields

from webapp.web.rest.openapi import BaseSchema, api_blueprint, problem_responses

blueprint = api_blueprint("root", __name__, "", "What there is.")


class RootLinks(BaseSchema):
    """Addresses to go on from."""

    openapi = fields.String(required=True)
    documentation = fields.String(required=True)
    problems = fields.String(required=True)
    quizzes = fields.String(required=True)
    tokens = fields.String(required=True)


class Root(BaseSchema):
    """The root of the API."""

    version = fields.String(required=True, metadata={"description": "Of the service"})
    links = fields.Nested(RootLinks, required=True)


@blueprint.route("", methods=["GET"])
@blueprint.response(200, Root)
@blueprint.doc(operationId="readRoot")
@problem_responses(blueprint)
def read_root() -> dict[str, Any]:
    """Say what there is, and where."""
    links = {
        "openapi": url_for("api-docs.openapi_json"),
        "documentation": url_for("docs.page"),
        "problems": url_for("problems.explained"),
        "quizzes": url_for("quizzes.list_quizzes"),
        "tokens": url_for("tokens.create_token"),
    }
    return {"version": version("poolproof-quiz"), "links": links}


def init_app(app: Flask) -> None:
    """Answer OPTIONS with the methods alone: 204 and Allow."""
    app.after_request(_answer_options)


def _answer_options(response: Response) -> Response:
    is_of_api = request.path.startswith("/api/")
    if request.method == "OPTIONS" and is_of_api and response.status_code == HTTPStatus.OK:
        response.status_code = HTTPStatus.NO_CONTENT
        for name in ("Content-Type", "Content-Length"):
            response.headers.pop(name, None)
    return response
