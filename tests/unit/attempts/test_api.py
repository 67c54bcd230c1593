from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import tokens
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion
from webapp.web.fast_path.routes import JSON_MEDIA_TYPE


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def start(client: FlaskClient, quiz: PublishedVersion, **body: Any) -> str:
    answer = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json=body)
    assert answer.status_code == 201
    return answer.headers["Location"]


def put(client: FlaskClient, attempt: str, item: int, *choices: int) -> Any:
    return client.put(f"{attempt}/answers/{item}", json={"choices": choices})


def test_a_quiz_is_played_from_start_to_board(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz, name="Grace")
    for question in quiz.document.questions:
        saved = put(client, attempt, question.item_id, *question.right)
        assert saved.json == {"item": question.item_id, "choices": list(question.right), "saved": True}
    result = client.post(f"{attempt}/finish").get_json()
    assert (result["score"], result["out_of"], result["rank"]) == (2, 2, 1)
    board = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").get_json()
    assert [(place["player_name"], place["score"]) for place in board["places"]] == [("Grace", 2)]


def test_right_answers_are_told_when_finished_and_not_before(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz)
    put(client, attempt, quiz.document.questions[0].item_id, 0)
    before = client.get(attempt)
    assert "right" not in before.get_json()["questions"][0]
    assert "always called" not in before.text
    after = client.post(f"{attempt}/finish").get_json()
    assert after["questions"][0]["right"] == list(quiz.document.questions[0].right)
    assert "always called" in after["questions"][0]["explanation"]


@pytest.mark.parametrize("content_type", [JSON_MEDIA_TYPE, f"{JSON_MEDIA_TYPE}; charset=utf-8"])
def test_of_two_numbered_answers_the_greater_number_stays_whichever_arrives_first(
    client: FlaskClient, quiz: PublishedVersion, content_type: str
) -> None:
    # The fast path takes the plain content type, Flask the other one.
    attempt, item = start(client, quiz), quiz.document.questions[0].item_id
    address = f"{attempt}/answers/{item}"
    for choice, sequence in ((1, 7), (2, 6), (0, 5)):
        body = json.dumps({"choices": [choice], "sequence": sequence})
        sent = client.put(address, data=body, content_type=content_type)
        assert (sent.status_code, sent.get_json()["saved"]) == (200, True)
    assert client.get(attempt).get_json()["questions"][0]["chosen"] == [1]
    refused = client.put(address, data='{"choices": [2], "sequence": "8"}', content_type=content_type)
    assert refused.status_code == 422


def test_a_finish_sent_again_answers_the_same(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz)
    put(client, attempt, quiz.document.questions[0].item_id, 0)
    assert client.post(f"{attempt}/finish").json == client.post(f"{attempt}/finish").json


def test_a_late_answer_is_a_conflict_that_says_so(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz)
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    late = put(client, attempt, quiz.document.questions[0].item_id, 0)
    assert (late.status_code, late.json["type"]) == (409, "/problems#quiz-not-open")
    assert "too late" in late.json["detail"]


def test_a_closed_quiz_cannot_be_started(client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    assert client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={}).status_code == 409


@pytest.mark.parametrize("choices", [[], [0, 1], [3], [-1], ["0"], [0.5], None])
def test_choices_that_make_no_sense_are_refused(client: FlaskClient, quiz: PublishedVersion, choices: Any) -> None:
    attempt = start(client, quiz)
    item = quiz.document.questions[0].item_id
    assert client.put(f"{attempt}/answers/{item}", json={"choices": choices}).status_code == 422


def test_an_item_that_is_not_asked_is_not_found(client: FlaskClient, quiz: PublishedVersion) -> None:
    assert put(client, start(client, quiz), 987654321, 0).status_code == 404


def test_a_forged_token_opens_nothing(client: FlaskClient, quiz: PublishedVersion) -> None:
    forged = start(client, quiz)[:-3] + "abc"
    assert client.get(forged).status_code == 404


def test_a_second_start_of_a_player_goes_on_with_the_attempt_that_is_stored(
    client: FlaskClient, quiz: PublishedVersion
) -> None:
    first = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Grace"}).get_json()
    one, other = quiz.document.questions
    put(client, f"/api/v1/attempts/{first['token']}", one.item_id, *one.right)
    again = start(client, quiz, name="Grace", player=first["player"])
    assert client.get(again).get_json()["questions"][0]["chosen"] == list(one.right)
    assert put(client, again, other.item_id, *other.right).status_code == 200
    assert client.post(f"{again}/finish").get_json()["score"] == 2
    board = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").get_json()
    assert [place["score"] for place in board["places"]] == [2]


@pytest.mark.parametrize("is_another_worker", [False, True])
def test_a_player_who_has_finished_is_told_so_at_the_next_start(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, is_another_worker: bool
) -> None:
    address = f"/api/v1/quizzes/{quiz.quiz_id}/attempts"
    first = client.post(address, json={"name": "Grace"}).get_json()
    client.post(f"/api/v1/attempts/{first['token']}/finish")
    if is_another_worker:
        writer = app.extensions["attempt_service"].writer
        writer._finished_attempts.discard([tokens.verify(first["token"], app.config["SECRET_KEY"]).attempt_id])
    refused = client.post(address, json={"name": "Grace", "player": first["player"]})
    assert (refused.status_code, refused.get_json()["type"]) == (409, "/problems#attempt-finished")


def test_a_start_that_goes_on_keeps_the_time_and_the_name_of_the_first_one(
    client: FlaskClient, quiz: PublishedVersion
) -> None:
    address = f"/api/v1/quizzes/{quiz.quiz_id}/attempts"
    first = client.post(address, json={"name": "Grace"}).get_json()
    put(client, f"/api/v1/attempts/{first['token']}", quiz.document.questions[0].item_id, 0)
    again = client.post(address, json={"name": "Ada", "player": first["player"]}).get_json()
    attempt = client.get(f"/api/v1/attempts/{again['token']}").get_json()
    assert (again["started_at"], attempt["player_name"]) == (first["started_at"], "Grace")
