"""The short way says what the long way says, and whatever is not plain takes the long way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.support.counted_reads import CountedReads
from tests.support.narrowing import not_none
from webapp.attempts import rate_limit
from webapp.attempts.rate_limit import BURST, PlayerRateLimiter
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.published_cache import CATALOG_TTL, PublishedQuizCache
from webapp.web.server.deferred import INLINE_KEY

LONG_WAY = {"X-Request-Timeout": "5"}
OF_THE_MOMENT = {"X-Request-ID", "Date", "Location", "Set-Cookie"}


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def short_only(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the long way is closed."""

    def closed(*arguments: Any) -> Any:
        raise AssertionError("it took the long way")

    monkeypatch.setattr(app.wsgi_app, "_fallback", closed)


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
    long = step(client, quiz, LONG_WAY)
    short = step(client, quiz, {})
    assert short.status == long.status
    assert shape(short) == shape(long)
    assert kept(short) == kept(long)


def shape(answer: TestResponse) -> Any:
    """What an answer says, without what is new in each: tokens and times."""
    if not answer.is_json:
        return answer.text
    body = answer.get_json()
    return {name: value for name, value in body.items() if name not in {"token", "player", *MOMENTS}}


MOMENTS = {"started_at", "finished_at", "milliseconds", "rank", "questions"}


def kept(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name not in OF_THE_MOMENT | {"Content-Length"}}


def test_the_questions_of_a_result_are_the_same_on_both_ways(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz)
    client.put(f"{attempt}/answers/{quiz.document.questions[0].item_id}", json={"choices": [0]})
    assert client.post(f"{attempt}/finish").json == client.post(f"{attempt}/finish", headers=LONG_WAY).json


@pytest.mark.parametrize("step", [step for step in STEPS if step is not an_open])
@pytest.mark.usefixtures("short_only")
def test_what_is_plain_does_not_take_the_long_way(
    client: FlaskClient, quiz: PublishedVersion, step: Callable[..., TestResponse]
) -> None:
    assert step(client, quiz, {}).status_code in {200, 201}


def test_a_page_is_rendered_once_and_then_kept(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = an_open(client, quiz, {})
    monkeypatch.setattr(app.wsgi_app, "_fallback", None)
    again = an_open(client, quiz, {})
    assert (again.status_code, again.text, again.headers["ETag"]) == (200, first.text, first.headers["ETag"])
    unchanged = an_open(client, quiz, {"If-None-Match": again.headers["ETag"]})
    assert (unchanged.status_code, unchanged.text) == (304, "")


def test_a_kept_page_changes_with_the_window(client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork) -> None:
    assert "Start" in an_open(client, quiz, {}).text
    assert "Start" in an_open(client, quiz, {}).text
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    closed = an_open(client, quiz, {})
    assert "closed since" in closed.text
    assert "<button" not in closed.text


def test_who_has_begun_sees_his_own_page_and_nobody_else_does(
    client: FlaskClient, quiz: PublishedVersion, app: Flask
) -> None:
    assert "Go on where you were" not in an_open(client, quiz, {}).text
    client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Ada"})
    mine = an_open(client, quiz, {})
    assert "Go on where you were" in mine.text
    assert "ETag" not in mine.headers
    assert "Go on where you were" not in an_open(app.test_client(), quiz, {}).text


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


@pytest.mark.parametrize(("given", "is_kept"), [("trace-0042", True), ("no good\x7f", False), ("short", False)])
def test_a_good_request_id_is_kept_on_the_short_way(
    client: FlaskClient, quiz: PublishedVersion, given: str, *, is_kept: bool
) -> None:
    answer = a_look_at_the_board(client, quiz, {"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is is_kept


def test_one_player_at_twenty_requests_a_second_is_told_to_wait(
    client: FlaskClient, app: Flask, quiz: PublishedVersion
) -> None:
    now = [0.0]
    app.extensions["attempt_service"].rate_limiter = PlayerRateLimiter(10, lambda: now[0])
    attempt, item = start(client, quiz), quiz.document.questions[0].item_id
    statuses = []
    for _ in range(400):
        now[0] += 1 / 20
        last = client.put(f"{attempt}/answers/{item}", json={"choices": [0]})
        statuses.append(last.status_code)
    assert statuses[:BURST] == [200] * BURST, "a person who was offline sends all at once"
    refused = statuses.count(429)
    assert 150 < refused < 200, "in the long run half of them, of which the first came for free"
    other = start(client, quiz)
    assert client.put(f"{other}/answers/{item}", json={"choices": [0]}).status_code == 200


def test_a_refusal_says_when_to_come_again(client: FlaskClient, app: Flask, quiz: PublishedVersion) -> None:
    app.extensions["attempt_service"].rate_limiter = PlayerRateLimiter(0.5, lambda: 0.0)
    attempt, item = start(client, quiz), quiz.document.questions[0].item_id
    answers = [client.put(f"{attempt}/answers/{item}", json={"choices": [0]}) for _ in range(BURST + 1)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"] == "2"
    assert answers[-1].get_json()["type"].endswith("#quota-exceeded")
    page = client.post(attempt.removeprefix("/api/v1"), data={f"item-{item}": "0"})
    assert (page.status_code, page.headers["Retry-After"]) == (429, "2")
    assert f'name="item-{item}" value="0"' in page.text, "the form is kept on the page, to be sent again"


def test_a_whole_school_behind_one_address_is_never_limited(
    client: FlaskClient, app: Flask, quiz: PublishedVersion
) -> None:
    app.extensions["attempt_service"].rate_limiter = PlayerRateLimiter(10, lambda: 0.0)
    item = quiz.document.questions[0].item_id
    statuses = {
        client.put(f"{start(client, quiz)}/answers/{item}", json={"choices": [0]}).status_code for _ in range(350)
    }
    assert statuses == {200}


def test_in_passing_nothing_is_read_although_the_last_look_becomes_too_old_meanwhile(
    app: Flask, quiz: PublishedVersion, work: UnitOfWork, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, reads = app.test_client(), CountedReads(work)
    shelf = PublishedQuizCache(reads)
    monkeypatch.setattr(app.extensions["attempt_service"], "quiz_cache", shelf)
    address = f"{start(client, quiz)}/answers/{quiz.document.questions[0].item_id}"
    assert client.put(address, json={"choices": [0]}).status_code == 200
    at_hand = shelf.peek

    def at_the_last_moment(version_id: int) -> PublishedVersion | None:
        version = at_hand(version_id)
        clock.advance(CATALOG_TTL)
        return version

    monkeypatch.setattr(shelf, "peek", at_the_last_moment)
    before = reads.count
    answer = client.put(address, json={"choices": [1]}, environ_overrides={INLINE_KEY: True})
    assert (answer.status_code, not_none(answer.json)["choices"], reads.count - before) == (200, [1], 0)


def test_players_who_have_long_paused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_TRACKED_PLAYERS", 3)
    now = [0.0]
    kept = PlayerRateLimiter(10, lambda: now[0])
    for number in range(10):
        kept.acquire(UUID(int=number))
        now[0] += 1
    assert len(kept._buckets) <= 4
