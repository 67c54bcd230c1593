from __future__ import annotations

import json

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from tests.unit.web.rest.test_document import DOCUMENT, Json, argument_schemas, operations
from webapp.web.rest.examples import EXAMPLES


def schemas_of_bodies(document: Json) -> set[str]:
    """Return the names of the schemas of whole bodies, of requests and of responses."""
    bodies = [
        content["schema"]
        for operation in operations(document).values()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in part.get("content", {}).values()
        if "schema" in content
    ]
    return {schema["$ref"].rpartition("/")[2] for schema in bodies if "$ref" in schema}


def test_every_body_has_an_example_that_its_schema_allows(client: FlaskClient) -> None:
    document = client.get(DOCUMENT).get_json()
    schemas = document["components"]["schemas"]
    assert schemas_of_bodies(document) == set(EXAMPLES), "add the missing ones to webapp/web/rest/examples.py"
    for name in EXAMPLES:
        assert schemas[name]["examples"] == [json.loads(json.dumps(EXAMPLES[name]))]
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(EXAMPLES[name])


def test_every_example_of_a_request_is_accepted(app: Flask) -> None:
    loaded = []
    for schema in argument_schemas(app):
        if (name := type(schema).__name__) in EXAMPLES:
            schema.load(EXAMPLES[name])
            loaded.append(name)
    assert set(loaded) >= {"ItemIn", "DraftIn", "SignIn", "StartIn", "AnswerIn", "RunIn"}
