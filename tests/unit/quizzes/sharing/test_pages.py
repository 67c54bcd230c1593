from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import match_in
from webapp.lab.factories import make_draft, make_quiz
from webapp.quizzes.forecast import PUSH_FILE


def code_on(page: str) -> str:
    return match_in(r'class="join-code">(\w{3} \w{3})<', page)[1]


def test_publishing_leads_to_the_code_and_the_qr_code(app: Flask, studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    page = studio.post(
        f"/studio/quizzes/{draft.id}/publish", data={"visibility": "unlisted"}, follow_redirects=True
    ).text
    assert '<svg role="img"' in page
    assert "style=" not in page
    assert "unlisted: only those who have the code" in page
    player = app.test_client()
    assert player.post("/join", data={"code": code_on(page)}).location == f"/quizzes/{draft.slug}"
    assert "Numbers" not in player.get("/").text
    assert '<meta name="robots" content="noindex">' in player.get(f"/quizzes/{draft.slug}").text
    poster = studio.get(f"/studio/quizzes/{draft.id}/share/poster").text
    assert code_on(poster) == code_on(page)
    assert "localhost/join" in poster


def test_a_new_code_takes_the_place_of_the_former_one(studio: FlaskClient, work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_quiz(work).quiz_id}/share"
    former = code_on(studio.get(address).text)
    page = studio.post(f"{address}/code", follow_redirects=True).text
    assert code_on(page) != former
    assert studio.post("/join", data={"code": former}).status_code == 404
    assert studio.post("/join", data={"code": code_on(page)}).status_code == 303


def test_a_draft_that_was_never_published_has_nothing_to_share(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    assert studio.get(f"/studio/quizzes/{draft.id}/share").status_code == 404
    assert studio.post(f"/studio/quizzes/{draft.id}/share/code").status_code == 404


def test_the_page_says_how_many_may_come_or_how_to_find_out(app: Flask, studio: FlaskClient, work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_quiz(work).quiz_id}/share"
    assert "poolproof lab push --users 2000" in studio.get(address).text
    reports = Path(app.instance_path) / "reports"
    reports.mkdir(exist_ok=True)
    report = reports / PUSH_FILE
    report.write_text(
        '{"at": "2026-11-28 05:00 UTC", "users": 1234, "done": 1234, "ramp": 1.0, "p99": 3.2, '
        '"requests_per_second": 600, "is_intact": true}'
    )
    try:
        page = studio.get(address).text
    finally:
        report.unlink()
    assert '<strong class="forecast">1234</strong>' in page
    assert "about 100 players of this quiz" in page


def test_an_unlisted_quiz_is_in_no_list_of_players_and_open_to_who_has_its_address(
    studio: FlaskClient, work: UnitOfWork, author: dict[str, str]
) -> None:
    quiz = make_quiz(work)
    api = f"/api/v1/quizzes/{quiz.quiz_id}"
    assert studio.patch(api, json={"unlisted": True}, headers=author).get_json()["unlisted"] is True
    assert studio.get("/api/v1/quizzes").get_json()["quizzes"] == []
    assert studio.get(api).get_json()["unlisted"] is True
    assert "Start" in studio.get(f"/quizzes/{quiz.slug}").text
    # Publishing again leaves the rule as it is.
    studio.post(f"/studio/quizzes/{quiz.quiz_id}/publish", data={})
    again = studio.get(api).get_json()
    assert (again["number"], again["unlisted"]) == (2, True)
    studio.post(f"/studio/quizzes/{quiz.quiz_id}/rules", data={"visibility": "listed"})
    assert len(studio.get("/api/v1/quizzes").get_json()["quizzes"]) == 1
