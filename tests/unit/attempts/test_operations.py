"""The operations are plain functions: parsed values in, the response or what it waits for out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import operations
from webapp.attempts.operations import EncodedLeaderboards
from webapp.attempts.page_cache import PageCache, PageVariant
from webapp.attempts.schemas import AnswerIn, StartIn
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.errors import InvalidInputError, NotFoundError
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion, QuizId


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def service(app: Flask) -> AttemptService:
    return get_attempt_service(app)


def started(service: AttemptService, quiz: PublishedVersion) -> Any:
    return json.loads(operations.start(service, quiz.quiz_id, StartIn().load({"name": " Ada "}), "").body)


def test_a_quiz_is_played_by_calling_them(service: AttemptService, quiz: PublishedVersion) -> None:
    attempt = service.find(started(service, quiz)["token"])
    assert attempt.claim.player_name == "Ada"
    item = quiz.document.questions[0].item_id
    answered = operations.answer(service, attempt, item, AnswerIn().load({"choices": [0]})).result()
    assert (answered.status, json.loads(answered.body)) == ("200 OK", {"item": item, "choices": [0], "saved": True})
    finished = json.loads(operations.finish(service, attempt).result().body)
    assert finished["finished_at"] is not None
    shown = json.loads(EncodedLeaderboards().read(service, quiz.quiz_id).body)
    assert [place["player_name"] for place in shown["places"]] == ["Ada"]


def test_they_raise_what_the_client_is_told(service: AttemptService, quiz: PublishedVersion) -> None:
    attempt = service.find(started(service, quiz)["token"])
    item = quiz.document.questions[0].item_id
    with pytest.raises(InvalidInputError):
        operations.answer(service, attempt, item, AnswerIn().load({"choices": [60]}))
    with pytest.raises(NotFoundError):
        service.find("nobodys")


def test_a_page_is_rendered_once_and_not_at_all_where_that_would_take_too_long(quiz: PublishedVersion) -> None:
    pages, rendered = PageCache(), []

    def render() -> bytes:
        rendered.append(1)
        return b"page"

    assert operations.open_quiz(pages, quiz, PageVariant("", "en"), "") is None
    first = operations.open_quiz(pages, quiz, PageVariant("", "en"), "", render)
    again = operations.open_quiz(pages, quiz, PageVariant("", "en"), "", render)
    assert first == again
    assert (first and first.body, len(rendered)) == (b"page", 1)
    etag = dict(first.headers)["ETag"] if first else ""
    known = operations.open_quiz(pages, quiz, PageVariant("", "en"), f'"other", W/{etag}')
    assert known is not None
    assert (known.status, known.body) == ("304 NOT MODIFIED", b"")


def test_a_leaderboard_is_encoded_once_for_all_who_ask_for_the_usual_number_of_places(
    service: AttemptService, quiz: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = service.leaderboard(QuizId(quiz.quiz_id))
    monkeypatch.setattr(service, "leaderboard", lambda _: read)
    leaderboards = EncodedLeaderboards()
    usual = leaderboards.read(service, quiz.quiz_id)
    assert leaderboards.read(service, quiz.quiz_id).body is usual.body
    other = leaderboards.read(service, quiz.quiz_id, limit=1)
    assert other.body == usual.body
    assert other.body is not usual.body
