"""The OpenAPI document says of each door what it serves, and how it answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from webapp.web.rest.document import METHODS
from webapp.web.rest.fields import TextField, TimeField
from webapp.web.rest.openapi import BaseSchema

DOCUMENT = "/api/v1/openapi.json"
OPERATIONS_OF_THE_CONSOLE = {"readPools"}
Json = dict[str, Any]


@pytest.fixture
def console_document(client: FlaskClient) -> Json:
    document: Json = client.get(DOCUMENT).get_json()
    return document


@pytest.fixture
def public_document(client: FlaskClient) -> Iterator[Json]:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        yield client.get(DOCUMENT, environ_overrides={"gunicorn.socket": listener}).get_json()


def operations(document: Json) -> dict[str, Json]:
    found = [item[method] for item in document["paths"].values() for method in METHODS if method in item]
    names = [operation["operationId"] for operation in found]
    assert len(names) == len(set(names)), "each has a name of its own"
    return dict(zip(names, found, strict=True))


def test_both_documents_are_openapi_3_1(public_document: Json, console_document: Json) -> None:
    for document in (public_document, console_document):
        assert document["openapi"] == "3.1.0"
        validate(document, cls=OpenAPIV31SpecValidator)


def test_each_door_has_the_operations_that_it_serves(public_document: Json, console_document: Json) -> None:
    public, console = operations(public_document), operations(console_document)
    assert set(console) - set(public) == OPERATIONS_OF_THE_CONSOLE
    assert set(public) < set(console)
    assert "pools" not in {tag["name"] for tag in public_document["tags"]}
    assert "Pools" not in public_document["components"]["schemas"]


def test_every_route_of_rest_is_in_the_document_and_nothing_else(app: Flask, console_document: Json) -> None:
    routes = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule != DOCUMENT
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len(routes) == len(operations(console_document))


def test_every_operation_says_what_can_go_wrong_and_with_which_headers(console_document: Json) -> None:
    for name, operation in operations(console_document).items():
        assert operation["summary"], name
        assert "503" in operation["responses"], name
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], (name, status)
            assert ("Retry-After" in response["headers"]) == (status in {"429", "503"}), (name, status)
            assert ("WWW-Authenticate" in response["headers"]) == (status == "401"), (name, status)
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def argument_schemas(app: Flask) -> Iterator[BaseSchema]:
    """Yield the schema of each body and each query that a view takes."""
    for view in app.view_functions.values():
        documented = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
        for parameter in documented:
            schema = parameter["schema"]
            yield schema() if isinstance(schema, type) else schema


def test_what_clients_send_has_fields_that_every_database_can_hold(app: Flask) -> None:
    for schema in argument_schemas(app):
        for name, field in schema.fields.items():
            part = field.inner if isinstance(field, fields.List) else field
            if isinstance(part, fields.DateTime):
                assert isinstance(part, TimeField), (type(schema).__name__, name)
            elif isinstance(part, fields.String):
                assert isinstance(part, TextField), (type(schema).__name__, name)


def test_a_problem_has_the_members_that_it_is_sent_with(client: FlaskClient, author: dict[str, str]) -> None:
    item = {"kind": "single", "stem": "What is kept?", "choices": ["This", "That"], "right": [0]}
    client.post("/api/v1/items", headers=author, json=item)
    refused = client.post("/api/v1/items", headers=author, json=item)
    document = client.get(DOCUMENT).get_json()
    problem = document["components"]["schemas"]["Problem"]
    assert "item" in refused.get_json()
    assert set(refused.get_json()) <= set(problem["properties"])
    assert problem["additionalProperties"] is not False


def test_what_takes_an_idempotency_key_says_that_what_it_made_may_be_gone(console_document: Json) -> None:
    keyed = {
        name: operation["responses"].keys()
        for name, operation in operations(console_document).items()
        if "Idempotency-Key" in {parameter.get("name") for parameter in operation.get("parameters", ())}
    }
    assert keyed
    assert {name for name, statuses in keyed.items() if "404" not in statuses} == set()
