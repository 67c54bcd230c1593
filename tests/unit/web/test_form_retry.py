"""A server that is too busy hands a form back, with everything in it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.errors import BusyError
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion
from webapp.web import form_retry


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def attempt(client: FlaskClient, quiz: PublishedVersion) -> str:
    return client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"}).location


@pytest.fixture
def busy(app: Flask, attempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing is known and nothing can be read: the texts of the questions neither."""

    class Away:
        def __getattr__(self, name: str) -> object:
            raise BusyError("The database cannot be reached just now.")

    monkeypatch.setattr(app.extensions["attempt_service"], "quiz_cache", Away())


def hidden(page: str) -> list[tuple[str, str]]:
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return [(unescape(name), unescape(value)) for name, value in inputs if name != "csrf_token"]


@pytest.mark.usefixtures("busy")
def test_the_page_of_a_busy_server_has_every_choice_of_the_form(client: FlaskClient, attempt: str) -> None:
    answer = client.post(attempt, data={"item-1": ["0", "2"], "item-2": "1", "action": "finish"})
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 4
    assert sorted(hidden(answer.text)) == [("action", "finish"), ("item-1", "0"), ("item-1", "2"), ("item-2", "1")]


@pytest.mark.usefixtures("busy")
def test_the_name_of_somebody_who_could_not_start_is_kept(client: FlaskClient, quiz: PublishedVersion) -> None:
    answer = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "Grace"})
    assert answer.status_code == 503
    assert hidden(answer.text) == [("name", "Grace")]


@pytest.mark.usefixtures("busy")
def test_what_was_posted_stays_text(client: FlaskClient, attempt: str) -> None:
    nasty = "\"><script>alert(1)</script>&'"
    page = client.post(attempt, data={nasty: nasty, "item-1": nasty}).text
    assert "<script>alert" not in page
    assert (nasty, nasty) in hidden(page)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "form",
    [
        {f"item-{number}": "0" for number in range(form_retry.MAX_FIELDS + 1)},
        {"item-1": "x" * (form_retry.MAX_CHARACTERS + 1)},
    ],
)
def test_a_form_larger_than_any_of_ours_is_not_handed_back(
    client: FlaskClient, attempt: str, form: dict[str, str]
) -> None:
    answer = client.post(attempt, data=form)
    assert answer.status_code == 503
    assert hidden(answer.text) == []
    assert "Go back to the page" in answer.text


def test_a_form_that_was_not_declared_repeatable_is_not_handed_back(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_busy(*_: object, **__: object) -> None:
        raise BusyError("All connections are in use.")

    monkeypatch.setitem(app.view_functions, "account_pages.sign_in", too_busy)
    answer = client.post("/sign-in", data={"name": "ada", "password": "a secret"})
    assert answer.status_code == 503
    assert "a secret" not in answer.text


@pytest.mark.usefixtures("busy")
def test_a_page_that_could_not_be_shown_offers_to_try_again(client: FlaskClient, attempt: str) -> None:
    answer = client.get(attempt)
    assert answer.status_code == 503
    assert '<a class="button primary" href="">Try again</a>' in answer.text


@pytest.mark.usefixtures("busy")
def test_programs_get_a_problem_and_no_page(client: FlaskClient, attempt: str) -> None:
    answer = client.put(f"/api/v1{attempt}/answers/1", json={"choices": [0]})
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.headers["Retry-After"].isdecimal()
