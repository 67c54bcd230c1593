from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts.page_cache import is_cacheable
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import RuleChanges


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


def open_quiz(client: FlaskClient, quiz: PublishedVersion, headers: dict[str, str]) -> TestResponse:
    return client.get(f"/quizzes/{quiz.slug}", headers=headers)


@pytest.mark.parametrize(
    ("cookies", "same_for_all"),
    [
        ("", True),
        ("player=x", True),
        ("player=x; language=ko", True),
        ("attempt=x", False),
        ("player=x; session=y", False),
    ],
)
def test_only_cookies_that_change_nothing_are_ignored(cookies: str, *, same_for_all: bool) -> None:
    assert is_cacheable(cookies) is same_for_all


def test_a_page_is_rendered_once_and_then_kept(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_quiz(client, quiz, {})
    monkeypatch.setattr(app.wsgi_app, "_fallback", None)
    again = open_quiz(client, quiz, {})
    assert (again.status_code, again.text, again.headers["ETag"]) == (200, first.text, first.headers["ETag"])
    unchanged = open_quiz(client, quiz, {"If-None-Match": again.headers["ETag"]})
    assert (unchanged.status_code, unchanged.text) == (304, "")
    # As a proxy makes it that compresses the page; and among others.
    weak = open_quiz(client, quiz, {"If-None-Match": f'"another", W/{again.headers["ETag"]}'})
    assert (weak.status_code, weak.text) == (304, "")


def test_a_kept_page_changes_with_the_window(client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork) -> None:
    assert "Start" in open_quiz(client, quiz, {}).text
    assert "Start" in open_quiz(client, quiz, {}).text
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    closed = open_quiz(client, quiz, {})
    assert "closed since" in closed.text
    assert "Start" not in closed.text


def test_who_has_begun_sees_his_own_page_and_nobody_else_does(
    client: FlaskClient, quiz: PublishedVersion, app: Flask
) -> None:
    assert "Continue where you were" not in open_quiz(client, quiz, {}).text
    client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Ada"})
    own = open_quiz(client, quiz, {})
    assert "Continue where you were" in own.text
    assert "ETag" not in own.headers
    assert "Continue where you were" not in open_quiz(app.test_client(), quiz, {}).text


def test_a_kept_page_changes_with_the_title(client: FlaskClient, quiz: PublishedVersion, work: UnitOfWork) -> None:
    first = [open_quiz(client, quiz, {}) for _ in range(2)][1]
    rules: RuleChanges = {"title": "Figures"}
    work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, rules))
    renamed = open_quiz(client, quiz, {"If-None-Match": first.headers["ETag"]})
    assert (renamed.status_code, "Figures" in renamed.text, "Numbers" in renamed.text) == (200, True, False)


def test_a_page_is_kept_for_each_language_and_their_etags_differ(
    app: Flask, client: FlaskClient, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    korean = {"Accept-Language": "ko-KR,ko;q=0.9"}
    first = [open_quiz(client, quiz, headers) for headers in ({}, korean)]
    # From now on the fast route answers alone.
    monkeypatch.setattr(app.wsgi_app, "_fallback", None)
    kept = [open_quiz(client, quiz, headers) for headers in ({}, korean)]
    assert [page.data for page in kept] == [page.data for page in first]
    assert ["Start" in kept[0].text, "시작" in kept[1].text] == [True, True]
    assert kept[0].headers["ETag"] != kept[1].headers["ETag"]
    assert {page.headers["Vary"] for page in (*first, *kept)} == {"Cookie, Accept-Language"}
    # The switch comes before the browser, and the page that a browser has in the other language is not taken for it.
    client.set_cookie("language", "ko")
    switched = open_quiz(client, quiz, {"If-None-Match": kept[0].headers["ETag"]})
    assert (switched.status_code, switched.data) == (200, kept[1].data)
