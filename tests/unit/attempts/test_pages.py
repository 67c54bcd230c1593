from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.published_cache import get_published_cache


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def start(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}).location


def form(quiz: PublishedVersion, action: str = "finish") -> dict[str, str]:
    return {"action": action} | {
        f"item-{question.item_id}": str(question.right[0]) for question in quiz.document.questions
    }


def test_a_form_with_all_answers_finishes_the_quiz(client: FlaskClient, quiz: PublishedVersion) -> None:
    page = client.post(start(client, quiz), data=form(quiz), follow_redirects=True)
    assert "2 of 2" in page.text
    assert "always called that" in page.text


def test_the_page_of_an_unfinished_attempt_tells_no_answer(client: FlaskClient, quiz: PublishedVersion) -> None:
    page = client.get(start(client, quiz)).text
    assert "always called that" not in page


def test_pressing_start_twice_leads_to_one_attempt(client: FlaskClient, quiz: PublishedVersion) -> None:
    assert start(client, quiz) == start(client, quiz)


def test_a_form_sent_twice_counts_once(client: FlaskClient, quiz: PublishedVersion) -> None:
    attempt = start(client, quiz)
    assert client.post(attempt, data=form(quiz, "save")).status_code == 302
    assert client.post(attempt, data=form(quiz, "save")).status_code == 302
    assert "saved=1" in client.post(attempt, data=form(quiz, "save")).location


def test_a_form_that_comes_too_late_says_so_on_a_page(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    attempt = start(client, quiz)
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    page = client.post(attempt, data=form(quiz))
    assert (page.status_code, page.mimetype) == (409, "text/html")
    assert "too late" in page.text


def test_a_form_that_was_tampered_with_is_refused(client: FlaskClient, quiz: PublishedVersion) -> None:
    item = quiz.document.questions[0].item_id
    for value in ("x", "99", "²", "-1"):
        assert client.post(start(client, quiz), data={f"item-{item}": value}).status_code == 422


def test_a_start_without_a_name_asks_for_one(client: FlaskClient, quiz: PublishedVersion) -> None:
    for name in ("", "   ", "\u3164", "\u200b", "x" * 41):
        assert client.post(f"/quizzes/{quiz.slug}/start", data={"name": name}).status_code == 422


def test_a_closed_quiz_says_so_and_offers_no_start(
    client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork
) -> None:
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    page = client.get(f"/quizzes/{quiz.slug}").text
    assert "closed since" in page
    assert "Start" not in page
    assert client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}).status_code == 409


def test_the_board_is_empty_and_then_not(client: FlaskClient, quiz: PublishedVersion) -> None:
    assert "Be the first" in client.get(f"/quizzes/{quiz.slug}/leaderboard").text
    client.post(start(client, quiz), data=form(quiz))
    assert "Grace" in client.get(f"/quizzes/{quiz.slug}/leaderboard").text


def test_who_has_finished_and_starts_again_sees_the_result(client: FlaskClient, quiz: PublishedVersion) -> None:
    client.post(start(client, quiz), data=form(quiz))
    client.delete_cookie("attempt", path=f"/quizzes/{quiz.slug}")
    page = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}, follow_redirects=True)
    assert (page.status_code, "2 of 2" in page.text) == (200, True)


def test_a_player_with_no_attempt_left_sees_the_last_result(
    client: FlaskClient, work: UnitOfWork, quiz: PublishedVersion
) -> None:
    work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"max_attempts": 2}))
    get_published_cache(client.application).invalidate()
    for answers in ({"action": "finish"}, form(quiz)):
        client.post(start(client, quiz), data=answers)
        client.delete_cookie("attempt", path=f"/quizzes/{quiz.slug}")
    page = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}, follow_redirects=True)
    assert (page.status_code, "2 of 2" in page.text) == (200, True)
