"""What players and authors see when a quiz closes: nothing acknowledged is lost, and no answer is told early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.sessions import sign_in
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.time_limits import TimeLimits
from webapp.db.timestamps import database_now
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion

TO_FLASK = {"X-Request-Timeout": "5"}
SECRETS = ('"right"', '"is_right"', '"explanation"', "always called that", "<small>right answer")


def make_ending(work: UnitOfWork, **rules: Any) -> PublishedVersion:
    with work.read() as connection:
        closes_at = database_now(connection) + timedelta(days=7)
    quiz = make_quiz(work, closes_at=closes_at)
    return work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, rules))  # type: ignore[arg-type]


def close(work: UnitOfWork, quiz: PublishedVersion) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_ending(work)


def start(client: FlaskClient, quiz: PublishedVersion, **body: Any) -> str:
    started = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json=body)
    assert started.status_code == 201
    return started.headers["Location"]


def answer(client: FlaskClient, quiz: PublishedVersion, attempt: str, count: int = 1) -> None:
    for question in quiz.document.questions[:count]:
        body = {"choices": list(question.right)}
        assert client.put(f"{attempt}/answers/{question.item_id}", json=body).status_code == 200


def board_rest(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").text


def board_page(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.get(f"/quizzes/{quiz.slug}/leaderboard").text


def test_next_day_an_attempt_goes_on_as_long_as_its_quiz_takes_answers(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = make_quiz(work)
    attempt, without_end = start(client, quiz, name="Grace"), start(client, endless)
    # What a quiz without an end grants an attempt is over at once; it does not bound an attempt at one with an end.
    monkeypatch.setattr(app.extensions["attempt_service"], "time_limits", TimeLimits(grace=0, ttl=0))
    answer(client, quiz, attempt, 2)
    assert client.get(attempt).get_json()["finished_at"] is None
    assert client.post(f"{attempt}/finish").get_json()["score"] == 2
    item = endless.document.questions[0].item_id
    late = client.put(f"{without_end}/answers/{item}", json={"choices": [0]})
    assert (late.status_code, late.get_json()["type"]) == (409, "/problems#attempt-finished")
    assert client.post(without_end.removeprefix("/api/v1"), data={f"item-{item}": "0"}).status_code == 409
    assert "The time of this attempt is over" in client.get(without_end.removeprefix("/api/v1")).text


def test_a_start_says_how_long_answers_are_taken(client: FlaskClient, quiz: PublishedVersion) -> None:
    body = client.post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={}).get_json()
    assert 6.9 * 24 * 3600 < body["expires_in"] <= 7 * 24 * 3600


@pytest.mark.parametrize("read_board", [board_rest, board_page])
def test_what_is_stored_when_the_quiz_closes_is_on_the_board_though_nobody_pressed_finish(
    client: FlaskClient,
    quiz: PublishedVersion,
    work: UnitOfWork,
    read_board: Callable[[FlaskClient, PublishedVersion], str],
) -> None:
    answer(client, quiz, start(client, quiz, name="Grace"), 2)
    start(client, quiz, name="Nobody")
    client.post(f"{start(client, quiz, name='Ada')}/finish")
    assert "Grace" not in read_board(client, quiz)
    close(work, quiz)
    board = read_board(client, quiz)
    assert "Grace" in board
    assert "Nobody" not in board


def test_the_author_finds_what_nobody_has_finished_in_the_results(
    client: FlaskClient, author: dict[str, str], quiz: PublishedVersion, work: UnitOfWork
) -> None:
    answer(client, quiz, start(client, quiz, name="Grace"))
    address = f"/api/v1/quizzes/{quiz.quiz_id}/results"
    assert client.get(address, headers=author).get_json()["finished"] == 0
    close(work, quiz)
    results = client.get(address, headers=author).get_json()
    assert (results["begun"], results["finished"], results["mean_score"]) == (1, 1, 1)
    sign_in(client, work, "ada")
    assert "Grace" in client.get(f"/studio/quizzes/{quiz.quiz_id}/results").text


def test_who_has_not_pressed_finish_finds_the_result_at_the_same_address(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz, name="Grace")
    answer(client, quiz, attempt)
    close(work, quiz)
    result = client.get(attempt).get_json()
    assert (result["score"], result["rank"], result["state"]) == (1, 1, "closed")
    assert result["finished_at"] is not None
    assert result["questions"][0]["right"] == list(quiz.document.questions[0].right)
    page = client.get(attempt.removeprefix("/api/v1")).text
    assert "1 of 2" in page
    assert "always called that" in page


def test_who_has_stored_nothing_is_told_so_when_the_quiz_has_closed(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz)
    close(work, quiz)
    page = client.get(attempt.removeprefix("/api/v1"))
    assert "No answer of yours was saved" in page.text
    assert '<form class="play"' not in page.text
    assert client.get(attempt).get_json()["finished_at"] is None


def test_an_attempt_goes_on_when_the_window_is_lengthened_after_its_end(
    client: FlaskClient, author: dict[str, str], quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz, name="Grace")
    answer(client, quiz, attempt)
    close(work, quiz)
    assert '"score":1' in board_rest(client, quiz)
    assert client.get(attempt).get_json()["score"] == 1
    closes_at = (quiz.now + timedelta(days=30)).isoformat()
    changed = client.patch(f"/api/v1/quizzes/{quiz.quiz_id}", headers=author, json={"closes_at": closes_at})
    assert (changed.status_code, changed.get_json()["state"], changed.get_json()["number"]) == (200, "open", 1)
    body = client.get(attempt)
    assert body.get_json()["finished_at"] is None
    assert not [secret for secret in SECRETS if secret in body.text]
    answer(client, quiz, attempt, 2)
    close(work, quiz)
    assert '"score":2' in board_rest(client, quiz)
    assert client.get(attempt).get_json()["score"] == 2


def test_within_the_grace_a_late_answer_counts_and_nothing_is_scored_or_told(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = app.extensions["attempt_service"]
    monkeypatch.setattr(service, "time_limits", TimeLimits(grace=600, ttl=3600))
    monkeypatch.setattr(service.scorer, "_limits", service.time_limits)
    monkeypatch.setattr(service.writer, "_grace", 600)
    finished, running = start(client, quiz, name="Ada"), start(client, quiz, name="Grace")
    client.post(f"{finished}/finish")
    close(work, quiz)
    answer(client, quiz, running, 2)
    assert "Grace" not in board_rest(client, quiz)
    for attempt in (finished, running):
        assert not [secret for secret in SECRETS if secret in client.get(attempt).text]
    assert client.post(f"{running}/finish").get_json()["score"] == 2


def everything_a_player_reads(client: FlaskClient, quiz: PublishedVersion, attempt: str) -> str:
    page = attempt.removeprefix("/api/v1")
    answers = [
        client.post(f"{attempt}/finish"),
        client.post(f"{attempt}/finish", headers=TO_FLASK),
        client.get(attempt),
        client.get(page),
        client.post(page, data={"action": "finish"}, follow_redirects=True),
        client.get(f"/quizzes/{quiz.slug}"),
        client.get(f"/api/v1/quizzes/{quiz.quiz_id}"),
        client.get(f"/quizzes/{quiz.slug}/leaderboard"),
        client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard"),
    ]
    assert {response.status_code for response in answers} == {200}
    return "".join(response.text for response in answers)


def test_a_start_and_a_finish_without_answers_tell_nothing_before_the_quiz_has_closed(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz)
    told = everything_a_player_reads(client, quiz, attempt)
    assert '"score":0' in told
    assert not [secret for secret in SECRETS if secret in told]
    close(work, quiz)
    told = everything_a_player_reads(client, quiz, attempt)
    assert [secret for secret in SECRETS if secret not in told] == []


def test_the_author_may_show_right_answers_as_soon_as_one_has_finished(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_ending(work, chosen_answers_shown="after_finishing")
    told = everything_a_player_reads(client, quiz, start(client, quiz))
    assert [secret for secret in SECRETS if secret not in told] == []


def test_the_author_may_show_right_answers_never(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_ending(work, chosen_answers_shown="never")
    attempt = start(client, quiz)
    client.post(f"{attempt}/finish")
    close(work, quiz)
    told = everything_a_player_reads(client, quiz, attempt)
    assert not [secret for secret in SECRETS if secret in told]


def test_a_new_version_with_the_same_questions_does_not_tell_the_answers_of_the_one_before(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz)
    client.post(f"{attempt}/finish")
    close(work, quiz)
    closes_at = quiz.now + timedelta(days=30)
    work.run_in_transaction(lambda connection: publishing.publish(connection, quiz.quiz_id, None, closes_at))
    assert not [secret for secret in SECRETS if secret in client.get(attempt).text]


def test_pressing_finish_late_or_never_makes_no_difference_to_the_time(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    presses, never = start(client, quiz, name="Ada"), start(client, quiz, name="Grace")
    for attempt in (presses, never):
        answer(client, quiz, attempt, 2)
    with work.transaction() as connection:
        started = connection.execute(select(func.max(Attempt.started_at))).scalar_one()
        # As if both had given their last answer after an hour, to the millisecond.
        connection.execute(update(Attempt).values(started_at=started))
        connection.execute(update(Answer).values(answered_at=started + timedelta(hours=1, milliseconds=7)))
    assert client.post(f"{presses}/finish").get_json()["milliseconds"] == 3_600_007
    close(work, quiz)
    assert client.get(never).get_json()["milliseconds"] == 3_600_007
    places = client.get(f"/api/v1/quizzes/{quiz.quiz_id}/leaderboard").get_json()["places"]
    assert [place["rank"] for place in places] == [1, 1]
    assert "from the start to the last saved answer" in board_page(client, quiz)
