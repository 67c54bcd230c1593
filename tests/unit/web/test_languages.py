"""The language of a request."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_quiz
from webapp.web import languages
from webapp.web.languages import COOKIE, select_language

KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("accepted", "cookie", "language"),
    [
        ("", "", "en"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "", "ko"),
        ("de,en;q=0.5", "", "en"),
        ("fr", "", "en"),
        ("ko", "en", "en"),
        ("en", "ko", "ko"),
        ("ko", "<script>", "ko"),
        ("ko" + ",x" * 5000, "", "ko"),
        (";;q=,=", "", "en"),
    ],
)
def test_the_readers_choice_comes_before_the_browsers(accepted: str, cookie: str, language: str) -> None:
    headers = {"Accept-Language": accepted, "Cookie": f"player=1; {COOKIE}={cookie}" if cookie else ""}
    with Flask("test").test_request_context("/", headers=headers):
        assert select_language() == language


def test_a_header_that_was_seen_is_not_parsed_again() -> None:
    languages._prefer.cache_clear()
    for _ in range(3):
        languages.negotiate("", "ko-KR,ko;q=0.9")
    # What is remembered is bounded in number and in length.
    for number in range(1000):
        languages.negotiate("", f"ko;q=0.{number}" + "x" * 1000)
    info = languages._prefer.cache_info()
    assert (info.hits, info.currsize) == (2, info.maxsize)


def test_a_problem_is_told_in_the_readers_language_and_its_type_stays(client: FlaskClient) -> None:
    in_english, in_korean = (client.get("/api/v1/quizzes/77", headers=headers) for headers in ({}, KOREAN))
    english, korean = in_english.get_json(), in_korean.get_json()
    assert english["type"] == korean["type"]
    assert (english["title"], korean["title"]) == ("There is no such thing here.", "찾을 수 없습니다.")
    assert korean["detail"] == "없는 퀴즈이거나 아직 출제되지 않은 퀴즈입니다."
    assert (in_korean.headers["Content-Language"], in_korean.headers["Vary"]) == ("ko", "Cookie, Accept-Language")


def test_a_page_that_does_not_exist_says_so_in_korean(client: FlaskClient) -> None:
    page = client.get("/nowhere", headers=KOREAN)
    assert (page.status_code, "요청한 주소가 없습니다." in page.text) == (404, True)


def test_a_forms_errors_and_times_are_in_the_readers_language(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    refused = client.post(f"/quizzes/{quiz.slug}/start", data={"name": ""}, headers=KOREAN)
    assert "이름을 입력해 주세요." in refused.text
    too_long = client.post(f"/quizzes/{quiz.slug}/start", data={"name": "x" * 41}, headers=KOREAN)
    assert "이 항목은 40자 보다 많을 수 없습니다." in too_long.text
