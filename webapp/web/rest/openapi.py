"""REST under /api/v1: one Api object, its OpenAPI 3.1 document, and the declarations endpoints use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from http import HTTPStatus
from importlib.metadata import version
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Self, TypeVar

import flask_swagger_ui
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Request, Response, current_app, render_template, request, send_from_directory
from flask_smorest import Api, Blueprint
from marshmallow import INCLUDE, fields
from marshmallow import Schema as MarshmallowSchema
from marshmallow.validate import OneOf
from webargs.core import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.routing import IntegerConverter

from poolproof.transactions.outcomes import WriteOutcome
from webapp.web.body_limits import has_body
from webapp.web.json_bounds import load_json
from webapp.web.rest import document
from webapp.web.rest.document import PROBLEM_MEDIA_TYPE
from webapp.web.rest.idempotency import HEADER as IDEMPOTENCY_HEADER
from webapp.web.rest.idempotency import MAX_KEY_LENGTH
from webapp.web.rest.pagination import MAX_ID
from webapp.web.security.console_listener import is_console_endpoint, is_console_listener
from webapp.web.uploads import is_upload_request
from webapp.web.validators import is_id

PREFIX = "/api/v1"
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
ETAG = {
    "ETag": {"description": "Version of the resource, for If-Match", "required": True, "schema": {"type": "string"}}
}
LOCATION = {
    "Location": {
        "description": "Address of the new resource",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
DISPOSITION = {
    "Content-Disposition": {
        "description": "The name of the file (RFC 6266)",
        "required": True,
        "schema": {"type": "string"},
    }
}
LINK = {"Link": {"description": 'The next page, rel="next" (RFC 8288)', "schema": {"type": "string"}}}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "description": "The ETag that the change is based on",
    "schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,9}"$'},
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
    "description": "Of your choice, for instance a UUID: sent again within a day, the same request makes nothing new. "
    "404, when what it has made was deleted since",
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
    """What went wrong (RFC 9457). Problems of some types have further members."""

    class Meta:
        """A problem may have members that its reader does not know."""

        unknown = INCLUDE

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldProblem))
    item = fields.Integer(metadata={"description": "With 409: the item that is there already"})
    outcome = fields.String(
        validate=OneOf([str(outcome) for outcome in WriteOutcome]),
        metadata={
            "description": "With 503: nothing was changed; a part was stored before the rest failed; it may be stored"
        },
    )


PROBLEM_SCHEMA = Problem()


class BoundedParser(FlaskParser):
    """The parser of arguments, with JSON that is bounded before it is parsed."""

    def _raw_load_json(self, req: Request) -> Any:
        if not req.is_json:
            return missing
        content = req.get_data(cache=True)
        # Of a body without a length werkzeug reads up to the limit, and does not say that there is more.
        if req.content_length is None and len(content) >= (req.max_content_length or 0):
            raise RequestEntityTooLarge
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise JSONDecodeError("Not UTF-8", "?", error.start) from error
        return load_json(text)


class ApiBlueprint(Blueprint):
    """flask-smorest's blueprint with our parser of arguments."""

    ARGUMENTS_PARSER = BoundedParser()


class PoolproofApi(Api):
    """flask-smorest without its error handlers: `web.rest.problems` answers all errors alike."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        """Bind it to the app."""
        self._documents: dict[bool, str] = {}
        super().__init__(app)

    def _register_error_handlers(self) -> None:
        pass

    def _openapi_json(self) -> Response:
        """Serve the document of the door that the request came in by; its server is the path prefix of the request."""
        is_console = is_console_listener()
        if is_console not in self._documents:
            is_served = (lambda _: True) if is_console else (lambda endpoint: not is_console_endpoint(endpoint))
            built = document.build(self.spec.to_dict(), current_app, is_served)
            self._documents[is_console] = json.dumps(built, indent=2)
        served = self._documents[is_console]
        if request.script_root:
            served = json.dumps({**json.loads(served), "servers": [{"url": request.script_root}]}, indent=2)
        return Response(served, mimetype="application/json")


def api_blueprint(name: str, import_name: str, path: str = "", description: str = "") -> ApiBlueprint:
    """Return a blueprint under /api/v1 whose views accept JSON bodies only, except those that accept uploads."""
    blueprint = ApiBlueprint(name, import_name, url_prefix=PREFIX + path, description=description)
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
    if request.method in {"POST", "PUT", "PATCH"} and has_body() and not request.is_json and not is_upload_request():
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
