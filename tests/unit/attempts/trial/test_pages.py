from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import match_in
from webapp.attempts.models import Answer, Attempt
from webapp.lab.factories import make_draft, make_quiz
from webapp.quizzes import publishing


def right_answers(page: str) -> dict[str, str]:
    """Return the form with the choices that are right: the factory's choices say it."""
    chosen = re.findall(r'name="(item-\d+)" value="(\d)"[^>]*>\s*<span>right', page)
    assert chosen
    return dict(chosen)


def stored(work: UnitOfWork) -> int:
    with work.read() as connection:
        return sum(len(connection.execute(table.__table__.select()).all()) for table in (Attempt, Answer))


@pytest.mark.parametrize("source", ["draft", "published"])
def test_an_author_plays_as_a_player_does_and_nothing_is_stored_or_counted(
    studio: FlaskClient, work: UnitOfWork, source: str
) -> None:
    quiz_id = make_draft(work).id if source == "draft" else make_quiz(work).quiz_id
    begun = studio.get(f"/studio/quizzes/{quiz_id}/trial/{source}")
    page = studio.get(begun.location).text
    assert "Test play" in page
    assert "always called that" not in page
    form = right_answers(page)
    saved = studio.post(begun.location, data={**form, "action": "save"}).text
    assert saved.count(" checked") == 2
    result = studio.post(begun.location, data={**form, "action": "finish"}).text
    assert "2 of 2" in result
    assert "always called that" in result
    assert "Nothing is stored or counted" in result
    assert "leaderboard" not in result
    assert stored(work) == 0
    assert 'class="badge correct"' in result
    wrong = {name: str((int(value) + 1) % 3) for name, value in form.items()}
    assert "0 of 2" in studio.post(begun.location, data={**wrong, "action": "finish"}).text


def test_the_token_of_a_test_play_is_none_of_an_attempt_and_the_other_way_round(
    app: Flask, studio: FlaskClient, work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    token = studio.get(f"/studio/quizzes/{quiz.quiz_id}/trial/published").location.rpartition("/")[2]
    item = quiz.document.questions[0].item_id
    assert studio.get(f"/attempts/{token}").status_code == 404
    assert studio.put(f"/api/v1/attempts/{token}/answers/{item}", json={"choices": [0]}).status_code == 404
    assert studio.post(f"/api/v1/attempts/{token}/finish").status_code == 404
    assert studio.delete(f"/api/v1/attempts/{token}").status_code == 404
    attempt = app.test_client().post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}).location
    real = attempt.rpartition("/")[2]
    assert studio.get(f"/studio/quizzes/{quiz.quiz_id}/trial/published/{real}").status_code == 404
    assert stored(work) == 0


def test_a_quiz_that_is_not_open_is_played_all_the_same(studio: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    page = studio.get(f"/studio/quizzes/{quiz.quiz_id}/trial/published", follow_redirects=True).text
    assert len(right_answers(page)) == 2
    assert "The quiz closed" not in page


def test_a_draft_that_was_changed_meanwhile_is_played_anew(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    begun = studio.get(f"/studio/quizzes/{draft.id}/trial/draft").location
    studio.post(f"/studio/quizzes/{draft.id}/details", data={"version": 1, "title": "Other", "description": ""})
    again = studio.post(begun, data={"action": "finish"}, follow_redirects=True)
    assert "The quiz has changed since" in again.text
    assert match_in(r'<form class="play"', again.text)


def test_a_draft_without_items_says_that_it_needs_some(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=0)
    assert "Add items first" in studio.get(f"/studio/quizzes/{draft.id}/trial/draft", follow_redirects=True).text


def test_only_authors_play_drafts(app: Flask, author: dict[str, str], work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_draft(work).id}/trial/draft"
    assert app.test_client().get(address).location.startswith("/sign-in")
