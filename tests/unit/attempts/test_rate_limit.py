from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import rate_limit
from webapp.attempts.rate_limit import BURST, PlayerRateLimiter
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def start(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Ada"}).headers["Location"]


def test_one_player_at_twenty_requests_a_second_is_told_to_wait(
    client: FlaskClient, app: Flask, quiz: PublishedVersion
) -> None:
    now = [0.0]
    app.extensions["attempt_service"].rate_limiter = PlayerRateLimiter(10, lambda: now[0])
    attempt, item = start(client, quiz), quiz.document.questions[0].item_id
    statuses = []
    for _ in range(400):
        now[0] += 1 / 20
        response = client.put(f"{attempt}/answers/{item}", json={"choices": [0]})
        statuses.append(response.status_code)
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


def test_players_who_have_long_paused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_TRACKED_PLAYERS", 3)
    now = [0.0]
    limiter = PlayerRateLimiter(10, lambda: now[0])
    for number in range(10):
        limiter.acquire(UUID(int=number))
        now[0] += 1
    assert len(limiter._buckets) <= 4
