from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient


def test_all_that_the_root_names_is_there(client: FlaskClient) -> None:
    root = client.get("/api/v1")
    assert root.status_code == 200
    links = root.get_json()["links"]
    statuses = {name: client.get(address).status_code for name, address in links.items()}
    assert statuses == dict.fromkeys(links, 200) | {"tokens": 405}


@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/api/v1", {"GET", "HEAD", "OPTIONS"}),
        ("/api/v1/items", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/api/v1/items/1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("/api/v1/tokens", {"OPTIONS", "POST"}),
        ("/api/v1/attempts/any/answers/1", {"OPTIONS", "PUT"}),
    ],
)
def test_options_says_the_methods_and_nothing_else(client: FlaskClient, address: str, methods: set[str]) -> None:
    answer = client.options(address)
    assert (answer.status_code, answer.data) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == methods
    assert "Content-Type" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_options_of_nothing_is_404_as_a_problem(client: FlaskClient) -> None:
    answer = client.options("/api/v1/nowhere")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_no_answer_of_rest_is_html(app: Flask, client: FlaskClient) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and not rule.arguments:
            for method in ("GET", "POST", "PATCH", "TRACE", "OPTIONS"):
                assert "html" not in client.open(rule.rule, method=method).headers.get("Content-Type", "")
