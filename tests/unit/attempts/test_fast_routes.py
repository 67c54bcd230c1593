"""A fast route answers as Flask does, and every request that is not plain goes to Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import fast_routes
from webapp.attempts.fast_routes import MAX_BODY_BYTES
from webapp.attempts.schemas import AnswerIn
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion
from webapp.web.fast_path.routes import PlainRequest

TO_FLASK = {"X-Request-Timeout": "5"}
CHANGING_HEADERS = {"X-Request-ID", "Date", "Location", "Set-Cookie", "Content-Length"}


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def fast_path_only(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a request that goes to Flask fails."""

    def fail(*arguments: Any) -> Any:
        raise AssertionError("the request went to Flask")

    monkeypatch.setattr(app.wsgi_app, "_fallback", fail)


def start(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Ada"}).headers["Location"]


def an_open(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    return client.get(f"/quizzes/{quiz.slug}", headers=headers)


def a_start(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    return client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Ada"}, headers=headers)


def an_answer(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    address = f"{start(client, quiz)}/answers/{quiz.document.questions[0].item_id}"
    return client.put(address, json={"choices": [0]}, headers=headers)


def a_finish(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    attempt = start(client, quiz)
    client.put(f"{attempt}/answers/{quiz.document.questions[0].item_id}", json={"choices": [0]})
    return client.post(f"{attempt}/finish", headers=headers)


def a_look_at_the_board(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    return client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard", headers=headers)


STEPS = [an_open, a_start, an_answer, a_finish, a_look_at_the_board]


@pytest.mark.parametrize("step", STEPS)
def test_the_short_way_says_what_the_long_way_says(
    client: FlaskClient, quiz: PublishedVersion, step: Callable[..., TestResponse]
) -> None:
    slow = step(client, quiz, TO_FLASK)
    fast = step(client, quiz, {})
    assert fast.status == slow.status
    assert comparable_body(fast) == comparable_body(slow)
    assert comparable_headers(fast) == comparable_headers(slow)


def comparable_body(response: TestResponse) -> Any:
    """The body without tokens and times, which differ in every response."""
    if not response.is_json:
        return response.text
    body = response.get_json()
    return {name: value for name, value in body.items() if name not in {"token", "player", *CHANGING_FIELDS}}


CHANGING_FIELDS = {"started_at", "finished_at", "milliseconds", "rank", "questions"}


def comparable_headers(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name not in CHANGING_HEADERS}


def test_the_questions_of_a_result_are_the_same_on_both_ways(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz)
    client.put(f"{attempt}/answers/{quiz.document.questions[0].item_id}", json={"choices": [0]})
    assert client.post(f"{attempt}/finish").json == client.post(f"{attempt}/finish", headers=TO_FLASK).json


@pytest.mark.parametrize("step", [step for step in STEPS if step is not an_open])
@pytest.mark.usefixtures("fast_path_only")
def test_what_is_plain_does_not_take_the_long_way(
    client: FlaskClient, quiz: PublishedVersion, step: Callable[..., TestResponse]
) -> None:
    assert step(client, quiz, {}).status_code in {200, 201}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"choices": []}', "application/json", 422),
        (b'{"choices": ["0"]}', "application/json", 422),
        (b'{"choices": [true]}', "application/json", 422),
        (b'{"choices": [0], "more": 1}', "application/json", 422),
        (b'{"choices": [99]}', "application/json", 422),
        (b'{"choices": [0]}', "text/plain", 415),
        (b'{"choices": [0]' + b" " * 2000 + b"}", "application/json", 200),
        (b'{"choices": [0]}', "application/json; charset=utf-8", 200),
    ],
)
def test_what_is_not_plain_is_judged_on_the_long_way(
    client: FlaskClient, quiz: PublishedVersion, body: bytes, kind: str, status: int
) -> None:
    address = f"{start(client, quiz)}/answers/{quiz.document.questions[0].item_id}"
    answer = client.put(address, data=body, content_type=kind)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.mimetype == "application/problem+json"


def test_what_a_shortcut_meets_is_a_problem_as_ever(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    unknown = client.put("/api/v1/attempts/nobodys/answers/1", json={"choices": [0]})
    assert (unknown.status_code, unknown.get_json()["type"]) == (404, "/problems#not-found")
    attempt = start(client, quiz)
    item = quiz.document.questions[0].item_id
    client.put(f"{attempt}/answers/{item}", json={"choices": [0]})
    client.post(f"{attempt}/finish")
    late = client.put(f"{attempt}/answers/{item}", json={"choices": [1]})
    assert (late.status_code, late.get_json()["type"]) == (409, "/problems#attempt-finished")
    assert late.get_json()["instance"] == f"urn:request:{late.headers['X-Request-ID']}"


@pytest.mark.parametrize(
    "body",
    [
        {"player": "\x84"}, {"player": "\ud800"}, {"player": 7}, {"player": "0" * 501},
        {"name": "\x00"}, {"name": ""}, {"name": 7},
    ],
)  # fmt: skip
def test_what_no_schema_allows_is_refused_on_both_ways(
    client: FlaskClient, quiz: PublishedVersion, body: dict[str, object]
) -> None:
    address = f"/api/v1/quizzes/{quiz.quiz_id}/attempts"
    statuses = [client.post(address, json=body, headers=headers).status_code for headers in ({}, TO_FLASK)]
    assert statuses == [422, 422]


@pytest.mark.parametrize(("request_id", "is_kept"), [("trace-0042", True), ("no good\x7f", False), ("short", False)])
def test_a_good_request_id_is_kept_on_the_short_way(
    client: FlaskClient, quiz: PublishedVersion, request_id: str, *, is_kept: bool
) -> None:
    answer = a_look_at_the_board(client, quiz, {"X-Request-ID": request_id})
    assert (answer.headers["X-Request-ID"] == request_id) is is_kept


@pytest.mark.parametrize(
    ("content_type", "length"),
    [
        ("text/plain", "2"),
        ("application/json; charset=utf-8", "2"),
        ("application/json", ""),
        ("application/json", "-1"),
        ("application/json", "²"),
        ("application/json", str(MAX_BODY_BYTES + 1)),
    ],
)
def test_a_body_that_is_not_small_json_is_not_read(content_type: str, length: str) -> None:
    def read_body() -> bytes:
        raise AssertionError("it was read")

    fields = {"CONTENT-TYPE": content_type, "CONTENT-LENGTH": length}
    assert fast_routes._read_json(AnswerIn(), PlainRequest(fields, "", "", "http", read_body)) is None
