"""What a start does beyond the first: the next attempt, its pause, and time that does not begin anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts.models import Attempt
from webapp.db.timestamps import database_now
from webapp.lab.factories import make_quiz
from webapp.quizzes import drafts, publishing
from webapp.quizzes.draws import Draw
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.published_cache import get_published_cache
from webapp.quizzes.rules import RuleChanges


def make_with_rules(work: UnitOfWork, rules: RuleChanges) -> PublishedVersion:
    quiz = make_quiz(work)
    return work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, rules))


def start(client: FlaskClient, quiz: PublishedVersion, status: int = 201, **body: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json=body)
    assert response.status_code == status
    reply: dict[str, Any] = response.get_json()
    return reply


def play(client: FlaskClient, quiz: PublishedVersion, started: dict[str, Any], right: int) -> dict[str, Any]:
    for number, question in enumerate(quiz.document.questions):
        choice = question.right[0] if number < right else (question.right[0] + 1) % 3
        answer = {"choices": [choice]}
        address = f"/api/v1/attempts/{started['token']}/answers/{question.item_id}"
        assert client.put(address, json=answer).status_code == 200
    result: dict[str, Any] = client.post(f"/api/v1/attempts/{started['token']}/finish").get_json()
    return result


def test_a_player_who_may_play_twice_has_the_better_attempt_on_the_leaderboard(
    client: FlaskClient, work: UnitOfWork
) -> None:
    quiz = make_with_rules(work, {"max_attempts": 2})
    first = start(client, quiz, name="Ada")
    assert play(client, quiz, first, 2)["score"] == 2
    second = start(client, quiz, name="Ada", player=first["player"])
    assert (first["number"], second["number"], first["token"] == second["token"]) == (1, 2, False)
    assert play(client, quiz, second, 1)["score"] == 1
    places = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").get_json()["places"]
    assert [(place["player_name"], place["score"]) for place in places] == [("Ada", 2)]
    third = start(client, quiz, 409, name="Ada", player=second["player"])
    assert (third["type"], "played 2 times" in third["detail"]) == ("/problems#attempt-finished", True)


def test_between_two_attempts_there_is_the_pause_that_the_author_has_set(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_with_rules(work, {"max_attempts": 3, "attempt_pause": 600})
    first = start(client, quiz, name="Ada")
    play(client, quiz, first, 1)
    refused = start(client, quiz, 409, player=first["player"])
    assert (refused["type"], "You can begin the next attempt on" in refused["detail"]) == (
        "/problems#attempt-pause",
        True,
    )
    with work.transaction() as connection:
        earlier = database_now(connection) - timedelta(seconds=601)
        connection.execute(update(Attempt).values(finished_at=earlier))
    assert start(client, quiz, player=first["player"])["number"] == 2


def test_the_time_of_an_attempt_does_not_begin_anew_with_another_start(
    app: Flask, client: FlaskClient, work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiz = make_with_rules(work, {"time_limit": 600})
    first = start(client, quiz, name="Ada")
    assert 595 <= first["seconds_left"] <= 600
    cache = get_published_cache(app)
    present = cache.current

    def later(*arguments: Any) -> PublishedVersion:
        version = present(*arguments)
        return replace(version, now=version.now + timedelta(seconds=400))

    monkeypatch.setattr(cache, "current", later)
    again = start(client, quiz, name="Ada", player=first["player"])
    assert 194 <= again["seconds_left"] <= 200


def test_an_answer_to_an_item_that_was_not_drawn_for_its_player_is_refused(
    client: FlaskClient, work: UnitOfWork
) -> None:
    from_pool = make_drawing(work)
    started = start(client, from_pool, name="Ada")
    drawn, pool = started["items"], [question.item_id for question in from_pool.document.questions]
    other = next(item for item in pool if item not in drawn)
    refused = client.put(f"/api/v1/attempts/{started['token']}/answers/{other}", json={"choices": [0]})
    assert (refused.status_code, "was not drawn" in refused.get_json()["detail"]) == (404, True)
    shown = client.get(f"/api/v1/attempts/{started['token']}").get_json()
    assert [question["item"] for question in shown["questions"]] == drawn
    for item in drawn:
        right = list(from_pool.document.question(item).right)
        assert (
            client.put(f"/api/v1/attempts/{started['token']}/answers/{item}", json={"choices": right}).status_code
            == 200
        )
    result = client.post(f"/api/v1/attempts/{started['token']}/finish").get_json()
    assert (result["score"], result["out_of"]) == (6, 6)


def make_drawing(work: UnitOfWork) -> PublishedVersion:
    from_bank = make_quiz(work, questions=8)
    draft = drafts.DraftValues("Drawn", draws=(Draw(0, 2, category="Numbers", points=3),))
    created = work.run_in_transaction(lambda connection: drafts.create(connection, draft))
    assert from_bank.question_count == 8
    return work.run_in_transaction(lambda connection: publishing.publish(connection, created.id, None, None))
