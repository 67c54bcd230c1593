from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts.rate_limit import JOIN_BURST, JOIN_RATE, PlayerRateLimiter
from webapp.lab.factories import make_quiz
from webapp.quizzes import join_code_store
from webapp.quizzes.join_codes import in_groups
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def code(work: UnitOfWork, quiz: PublishedVersion) -> str:
    with work.read() as connection:
        return join_code_store.find(connection, quiz.quiz_id) or ""


def test_a_code_leads_to_its_quiz_however_it_is_typed(client: FlaskClient, quiz: PublishedVersion, code: str) -> None:
    for typed in (code, code.lower(), in_groups(code), f" {code[:2]}-{code[2:]} "):
        answer = client.post("/join", data={"code": typed})
        assert (answer.status_code, answer.location) == (303, f"/quizzes/{quiz.slug}")


def test_a_code_that_is_unknown_or_cannot_be_one_is_told_and_kept_in_the_form(client: FlaskClient, code: str) -> None:
    unknown = client.post("/join", data={"code": "C2C 2C2"})
    assert (unknown.status_code, "No quiz has this code" in unknown.text) == (404, True)
    assert 'value="C2C 2C2"' in unknown.text
    malformed = client.post("/join", data={"code": '"><b>1'})
    assert (malformed.status_code, "six letters and digits" in malformed.text) == (422, True)
    assert "<b>1" not in malformed.text
    assert client.get("/join/C2C2C2").status_code == 404


def test_the_address_in_a_qr_code_is_the_quizs_first_page_itself_on_a_first_visit(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, code: str
) -> None:
    first = client.get(f"/join/{code}")
    assert first.status_code == 200
    assert first.data == client.get(f"/quizzes/{quiz.slug}").data
    client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"})
    again = client.get(f"/join/{code.lower()}", follow_redirects=True)
    assert "Continue where you were" in again.text


def test_a_device_that_tries_many_codes_has_to_wait_and_others_do_not(
    app: Flask, client: FlaskClient, code: str
) -> None:
    now = [0.0]
    app.extensions["join_limiter"] = PlayerRateLimiter(JOIN_RATE, lambda: now[0], JOIN_BURST)
    client.get("/join")
    for _ in range(JOIN_BURST):
        assert client.post("/join", data={"code": "C2C2C2"}).status_code == 404
    refused = client.post("/join", data={"code": code})
    assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (429, True)
    assert client.get(f"/join/{code}").status_code == 429
    assert app.test_client().post("/join", data={"code": code}).status_code == 303
    now[0] += 60
    assert client.post("/join", data={"code": code}).status_code == 303
