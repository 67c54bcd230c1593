from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.integrations.flask_ext import PoolingState
from tests.support.pools import queue_pool
from webapp.errors import DomainError, list_error_types


def test_an_unknown_address_under_api_is_a_problem(client: FlaskClient) -> None:
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert answer.get_json()["status"] == 404
    assert answer.get_json()["instance"] == f"urn:request:{answer.headers['X-Request-ID']}"


def test_an_unknown_address_elsewhere_is_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Not Found" in answer.text


def test_a_wrong_method_says_which_are_right(client: FlaskClient) -> None:
    answer = client.delete("/api/v1/quizzes")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_body_that_is_not_json_is_415(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tokens", data="name=ada", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.mimetype) == (415, "application/problem+json")


def test_broken_json_is_400(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tokens", data="{", content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_a_body_that_is_too_large_is_413(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tokens", data=b" " * (1024 * 1024 + 1), content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")


def test_a_field_that_is_wrong_is_named(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tokens", json={"name": "ada", "colour": "red"})
    assert answer.status_code == 422
    assert {problem["where"] for problem in answer.get_json()["errors"]} == {"json.password", "json.colour"}


def test_half_a_character_is_refused_and_not_an_error_of_ours(client: FlaskClient) -> None:
    body = '{"name": "\\ud800", "password": "whatever it is"}'
    answer = client.post("/api/v1/tokens", data=body, content_type="application/json")
    assert answer.status_code == 422


def test_a_full_pool_is_503_with_the_registered_type_and_a_whole_number_of_seconds(
    client: FlaskClient, pooling: PoolingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = queue_pool(pooling.work.engine)
    monkeypatch.setattr(pool, "_timeout", 0.1)
    connections = [pooling.work.engine.connect() for _ in range(pool.size())]
    try:
        answer, page = client.get("/api/v1/quizzes"), client.get("/")
    finally:
        for connection in connections:
            connection.close()
    assert answer.status_code == page.status_code == 503
    assert answer.get_json()["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert 1 <= int(answer.headers["Retry-After"]) <= 4
    assert page.mimetype == "text/html"


@pytest.mark.parametrize("kind", list_error_types())
def test_every_problem_type_is_explained_where_it_leads(app: Flask, kind: type[DomainError]) -> None:
    assert f'id="{kind.kind}"' in app.test_client().get("/problems").text
