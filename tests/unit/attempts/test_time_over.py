"""The end of an attempt's own time: every 2xx is stored and scored, every other is not, and no one has to finish."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import attempt_start, tokens
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import database_now
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.published_cache import invalidate_after_write
from webapp.quizzes.rules import RuleChanges

LIMIT = 60
PLAYERS = 50


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    quiz = make_quiz(work, questions=2)
    return work.run_in_transaction(
        lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"time_limit": LIMIT})
    )


@dataclass(frozen=True)
class Game:
    """A quiz whose attempts have a minute and no grace, so that what is near the end is near the refusal."""

    app: Flask
    work: UnitOfWork
    quiz: PublishedVersion
    service: AttemptService

    def begin(self, seconds_left: float) -> AttemptClaim:
        """Begin an attempt whose time is over in so many seconds."""
        with self.work.read() as connection:
            started_at = database_now(connection) + timedelta(seconds=seconds_left - LIMIT)
        return tokens.new_claim(self.quiz.version_id, tokens.new_player_id(), "Ada", started_at)

    def address(self, claim: AttemptClaim) -> str:
        return f"/api/v1/attempts/{tokens.issue(claim, self.service.signing_key)}"

    def answer(self, attempt: str, number: int = 0) -> Any:
        question = self.quiz.document.questions[number]
        address = f"{attempt}/answers/{question.item_id}"
        return self.app.test_client().put(address, json={"choices": list(question.right)})

    def let_time_pass(self) -> None:
        """Have all attempts begun so long ago that their time is over."""
        with self.work.transaction() as connection:
            long_ago = database_now(connection) - timedelta(seconds=LIMIT + 1)
            connection.execute(update(Attempt).values(started_at=long_ago))


@pytest.fixture
def game(app: Flask, work: UnitOfWork, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch) -> Game:
    service = get_attempt_service(app)
    limits = type(service.time_limits)(grace=0, ttl=service.time_limits.ttl)
    monkeypatch.setattr(service, "time_limits", limits)
    monkeypatch.setattr(service.scorer, "_limits", limits)
    monkeypatch.setattr(service.writer, "_grace", 0)
    return Game(app, work, quiz, service)


def test_around_the_end_every_yes_is_stored_and_scored_and_every_no_is_not(game: Game, client: FlaskClient) -> None:
    # The first ones are over, the last ones are not for long, and the others end while answers are written.
    ends = [-0.1, *(1.5 * number / PLAYERS for number in range(PLAYERS - 2)), 30]
    claims = [game.begin(seconds) for seconds in ends]

    def play(claim: AttemptClaim) -> int:
        return sum(game.answer(game.address(claim), number).status_code == 200 for number in range(2))

    with ThreadPoolExecutor(PLAYERS) as pool:
        accepted = dict(zip((claim.attempt_id for claim in claims), pool.map(play, claims), strict=True))
    game.let_time_pass()
    client.get(f"/api/v1/quizzes/{game.quiz.quiz_id}/leaderboard")
    with game.work.read() as connection:
        stored = connection.execute(select(Answer.attempt_id, func.count()).group_by(Answer.attempt_id)).all()
        scored = connection.execute(select(Attempt.id, Attempt.score)).all()
    assert accepted[claims[0].attempt_id] == 0
    assert accepted[claims[-1].attempt_id] == 2
    yes = {attempt: count for attempt, count in accepted.items() if count}
    assert {row[0]: row[1] for row in stored} == yes
    assert {row.id: row.score for row in scored if row.score} == yes


def test_a_late_answer_is_refused_and_what_was_stored_is_scored_without_finish(game: Game, client: FlaskClient) -> None:
    attempt = game.address(game.begin(30))
    assert game.answer(attempt).status_code == 200
    running = client.get(attempt).get_json()
    assert (running["finished_at"], 0 < running["seconds_left"] <= 30) == (None, True)
    game.let_time_pass()
    late = game.answer(attempt, 1)
    assert (late.status_code, late.get_json()["type"]) == (409, "/problems#attempt-time-over")
    places = client.get(f"/api/v1/quizzes/{game.quiz.quiz_id}/leaderboard").get_json()["places"]
    assert [place["score"] for place in places] == [1]
    result = client.get(attempt).get_json()
    assert (result["score"], result["finished_at"] is not None) == (1, True)


def test_more_time_holds_for_those_who_are_still_playing(game: Game) -> None:
    attempt = game.address(game.begin(-1))
    assert game.answer(attempt).status_code == 409
    rules: RuleChanges = {"time_limit": 2 * LIMIT}
    game.work.run_in_transaction(lambda connection: publishing.change_rules(connection, game.quiz.quiz_id, rules))
    invalidate_after_write(game.app, "POST")
    assert game.answer(attempt).status_code == 200


def test_a_form_that_comes_late_leads_to_the_result_and_says_so(game: Game, client: FlaskClient) -> None:
    attempt = game.address(game.begin(30))
    assert game.answer(attempt).status_code == 200
    page, item = attempt.removeprefix("/api/v1"), game.quiz.document.questions[1].item_id
    assert 'class="clock"' in client.get(page).text
    game.let_time_pass()
    shown = client.post(page, data={f"item-{item}": "0", "action": "finish"}, follow_redirects=True)
    assert (shown.status_code, "they do not count" in shown.text) == (200, True)


def test_an_attempt_begins_when_it_is_started_and_the_start_is_in_its_token(game: Game) -> None:
    claim = attempt_start.begin_attempt(game.quiz, tokens.new_player_id(), "Ada")
    assert tokens.verify(tokens.issue(claim, game.service.signing_key), game.service.signing_key) == claim
