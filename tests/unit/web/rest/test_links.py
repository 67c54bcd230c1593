from __future__ import annotations

from flask.testing import FlaskClient

from tests.unit.web.rest.test_document import DOCUMENT, operations
from webapp.web.rest.document import METHODS


def test_every_link_leads_to_an_operation_that_takes_what_it_gives(client: FlaskClient) -> None:
    document = client.get(DOCUMENT).get_json()
    takes = {
        item[method]["operationId"]: {each["name"] for each in item.get("parameters", ()) if each["in"] == "path"}
        for item in document["paths"].values()
        for method in METHODS
        if method in item
    }
    linked = [
        (link["operationId"], name, value)
        for operation in operations(document).values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
        for name, value in link["parameters"].items()
    ]
    assert len(linked) > 20
    for target, name, value in linked:
        assert name in takes[target], target
        assert value.startswith("$response.body#/")
