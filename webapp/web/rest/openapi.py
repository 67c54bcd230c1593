"""REST under /api/v1: one Api object, its OpenAPI 3.1 document, and the declarations endpoints use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import flask_swagger_ui
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Response, render_template, request, send_from_directory
from flask_smorest import Api, Blueprint
from marshmallow import Schema as MarshmallowSchema
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.routing import IntegerConverter

from poolproof.transactions.outcomes import WriteOutcome
from webapp.web.rest.idempotency import HEADER as IDEMPOTENCY_HEADER
from webapp.web.rest.idempotency import MAX_KEY_LENGTH
from webapp.web.rest.pagination import MAX_ID
from webapp.web.uploads import is_upload_request
from webapp.web.validators import INVISIBLE, is_id, is_storable, is_visible

PREFIX = "/api/v1"
PROBLEM_MEDIA_TYPE = "application/problem+json"
ID = "id"
"""Name of the URL converter for ids; see `IdConverter`."""

View = TypeVar("View", bound=Callable[..., Any])

API_CONFIG = {
    "API_TITLE": "Poolproof",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": PREFIX,
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "Quizzes, played by many at once. Errors are problems (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    },
}

# How operations declare their headers.
ETAG = {"ETag": {"description": "Version of the resource, for If-Match", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Address of the new resource", "schema": {"type": "string"}}}
LINK = {"Link": {"description": 'The next page, rel="next" (RFC 8288)', "schema": {"type": "string"}}}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "description": "The ETag that the change is based on",
    "schema": {"type": "string"},
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "An ETag; 304 when it is still the present one",
    "schema": {"type": "string"},
}

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": IDEMPOTENCY_HEADER,
    "description": "Of your choice, for instance a UUID: sent again within a day, the same request makes nothing new",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!#-\\[\\]-~]+$"},
}

SWAGGER_FILES = Path(flask_swagger_ui.__file__).parent / "dist"


class IdConverter(IntegerConverter):
    """An id in a URL.

    A number that is no id becomes the largest id, which no row has, so that the response is 404. If the router
    refused it, the response would be 405 wherever another method has a route of the same form.
    """

    def to_python(self, value: str) -> int:
        """Return the id."""
        return int(value) if is_id(value) else MAX_ID


class TextField(fields.String):
    """A string that every database can hold: no control characters, no surrogates."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not is_storable(text):
            raise ValidationError("Contains a character that cannot be stored.")
        return text


def visible(text: str) -> None:
    """Refuse, as a validator of a field, text of which nothing can be seen.

    Raises:
        ValidationError: for such a text.
    """
    if not is_visible(text):
        raise ValidationError(INVISIBLE)


class BaseSchema(MarshmallowSchema):
    """The base of all schemas: a deep copy of a schema is the schema itself.

    flask-smorest copies what a view declares, schemas included, at each of the view's decorators and twice more at
    registration. A schema never changes once it is made, so it need not be copied; copying took a third of the start
    of a worker.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the schema itself."""
        return self


class FieldProblem(BaseSchema):
    """One thing that is wrong in a request."""

    where = fields.String(required=True, metadata={"description": "Place, e.g. json.choices.0"})
    reason = fields.String(required=True)


class Problem(BaseSchema):
    """RFC 9457."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldProblem))
    outcome = fields.String(
        validate=OneOf([str(outcome) for outcome in WriteOutcome]),
        metadata={
            "description": "With 503: nothing was changed; a part was stored before the rest failed; it may be stored"
        },
    )


PROBLEM_SCHEMA = Problem()


class PoolproofApi(Api):
    """flask-smorest without its error handlers: `web.rest.problems` answers all errors alike."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass

    def _openapi_json(self) -> Response:
        """Return the document; its server is the path prefix of the request, if there is one."""
        response: Response = super()._openapi_json()
        if request.script_root:
            response.set_data(
                json.dumps({**json.loads(response.get_data()), "servers": [{"url": request.script_root}]})
            )
        return response


def api_blueprint(name: str, import_name: str, path: str = "", description: str = "") -> Blueprint:
    """Return a blueprint under /api/v1 whose views accept JSON bodies only, except those that accept uploads."""
    blueprint = Blueprint(name, import_name, url_prefix=PREFIX + path, description=description)
    blueprint.before_request(_require_json)
    return blueprint


def problem_responses(blueprint: Blueprint, *statuses: int) -> Callable[[View], View]:
    """Declare the problems that an operation may answer with; every operation may answer 503.

    One of flask-smorest's own decorators for each status would wrap the view as many times, and every request would
    pass through all of the wrappers.
    """
    documented = {
        status: [
            {"schema": PROBLEM_SCHEMA, "description": HTTPStatus(status).phrase, "content_type": PROBLEM_MEDIA_TYPE}
        ]
        for status in {*statuses, 503}
    }

    def declare(view: View) -> View:
        return _update_documentation(view, {"response": {"responses": documented}})

    return declare


def document_bearer_security(view: View) -> View:
    """Declare that an operation needs a bearer token."""
    return _update_documentation(view, {"manual_doc": {"security": [{"bearer": []}]}})


def _update_documentation(view: View, changes: Mapping[str, Any]) -> View:
    """Merge changes into the attribute in which flask-smorest's own decorators keep a view's documentation."""
    view._apidoc = _merge(deepcopy(getattr(view, "_apidoc", {})), changes)  # type: ignore[attr-defined]  # noqa: SLF001
    return view


def _merge(target: dict[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    for name, value in changes.items():
        target[name] = _merge(target.get(name, {}), value) if isinstance(value, Mapping) else value
    return target


def create_api(app: Flask) -> Api:
    """Bind the Api to the app, with its document at /api/v1/openapi.json; Swagger UI is at /docs."""
    app.config.update(API_CONFIG)
    app.url_map.converters[ID] = IdConverter
    api = PoolproofApi(app)
    api.register_converter(IdConverter, lambda _: {"type": "integer", "minimum": 1, "maximum": MAX_ID})
    api.spec.options["info"]["x-poolproof-version"] = version("poolproof-quiz")
    app.register_blueprint(docs)
    return api


def _require_json() -> None:
    has_body = request.content_length or "Transfer-Encoding" in request.headers
    if request.method in {"POST", "PUT", "PATCH"} and has_body and not request.is_json and not is_upload_request():
        raise UnsupportedMediaType("Send the body as application/json.")


docs = FlaskBlueprint("docs", __name__, url_prefix="/docs")


@docs.get("")
def page() -> str:
    """Show the API with Swagger UI."""
    return render_template("web/docs.html")


@docs.get("/files/<path:name>")
def swagger_file(name: str) -> Response:
    """Serve Swagger UI's own files from its wheel."""
    return send_from_directory(SWAGGER_FILES, name, max_age=86400)
