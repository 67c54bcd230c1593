"""The OpenAPI document as a door serves it: what flask-smorest has gathered, with what holds for every operation.

What every operation answers alike (its headers, the problems of any body) is added here and declared nowhere else, so
that no declaration can forget it. Each door's document has the operations that this door serves, and no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask

from webapp.web.rest.examples import EXAMPLES
from webapp.web.rest.links import links_of

Json = dict[str, Any]

PROBLEM_MEDIA_TYPE = "application/problem+json"
METHODS = ("get", "put", "post", "patch", "delete")
_BODY_METHODS = {"put", "post", "patch"}
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')

REQUEST_ID = {
    "X-Request-ID": {"description": "Names the request in the log", "required": True, "schema": {"type": "string"}}
}
RETRY_AFTER_HEADER = {
    "Retry-After": {
        "description": "Seconds after which the request may be sent again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
STATUS_HEADERS: Mapping[str, Json] = {
    "401": {"WWW-Authenticate": {"description": "Bearer", "required": True, "schema": {"type": "string"}}},
    "415": {
        "Accept-Encoding": {
            "description": "identity, where the body came with a Content-Encoding",
            "schema": {"type": "string"},
        }
    },
    "429": RETRY_AFTER_HEADER,
    "503": RETRY_AFTER_HEADER,
}


def build(spec: Json, app: Flask, is_served: Callable[[str], bool]) -> Json:
    """Return the document of a door.

    Args:
        spec: What flask-smorest has gathered.
        app: The app, whose routes the operations are.
        is_served: Says whether the door serves an endpoint.
    """
    document: Json = json.loads(json.dumps(spec))
    _leave_out(document, _operations_of(app, lambda endpoint: not is_served(endpoint)))
    for method, operation in _operations(document):
        _complete(operation, takes_body=method in _BODY_METHODS)
    schemas = document["components"]["schemas"]
    for name in set(schemas) - _referenced(document):
        del schemas[name]
    for name, schema in schemas.items():
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    return document


def _operations_of(app: Flask, selects: Callable[[str], bool]) -> set[tuple[str, str]]:
    """Return the paths and methods of the endpoints that are selected, as the document writes them."""
    return {
        (_CONVERTER.sub(r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if selects(rule.endpoint)
        for method in rule.methods or ()
    }


def _leave_out(document: Json, operations: set[tuple[str, str]]) -> None:
    for path, item in list(document["paths"].items()):
        for method in [name for name in item if (path, name) in operations]:
            del item[method]
        if not set(item) & set(METHODS):
            del document["paths"][path]
    used = {tag for _, operation in _operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [tag for tag in document.get("tags", ()) if tag["name"] in used]


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for item in document["paths"].values():
        yield from ((method, item[method]) for method in METHODS if method in item)


def _complete(operation: Json, *, takes_body: bool) -> None:
    responses = operation["responses"]
    statuses = ("413", "415") if takes_body else ()
    for status in (*statuses, *(("400",) if "requestBody" in operation else ()), "503"):
        responses.setdefault(status, _problem_response(status))
    for status, response in responses.items():
        response["headers"] = REQUEST_ID | STATUS_HEADERS.get(status, {}) | response.get("headers", {})
        if links := links_of(operation["operationId"], status):
            response["links"] = links
    operation["responses"] = dict(sorted(responses.items()))


def _problem_response(status: str) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(int(status)).phrase,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
    }


def _referenced(document: Json) -> set[str]:
    """Return the names of the schemas that operations refer to, and those that these refer to in turn."""
    found, schemas = set[str](), document["components"]["schemas"]
    unread = set(_REFERENCE.findall(json.dumps(document["paths"])))
    while unread:
        found |= unread
        unread = {name for each in unread for name in _REFERENCE.findall(json.dumps(schemas[each]))} - found
    return found
