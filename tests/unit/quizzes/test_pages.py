from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD_HASH
from tests.support.narrowing import match_in
from tests.support.sessions import sign_in
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.lab.factories import make_draft, make_item, make_quiz
from webapp.quizzes import drafts


def test_the_front_page_lists_what_is_open(client: FlaskClient, work: UnitOfWork) -> None:
    empty = client.get("/").text
    assert "No quiz is open" in empty
    assert "Poolproof is a quiz service" in empty
    make_quiz(work)
    page = client.get("/").text
    assert "Numbers" in page
    assert page.index('name="code"') < page.index("Numbers")
    assert "is a quiz service" not in page


def test_items_are_added_moved_and_removed(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work, questions=2)
    first, second = draft.item_ids
    third = work.run_in_transaction(make_item).id
    address = f"/studio/quizzes/{draft.id}/items"
    for version, change in enumerate(
        ({"add": f"{third}"}, {"action": f"up {third}"}, {"action": f"down {first}"}, {"action": f"remove {second}"}), 1
    ):
        assert studio.post(address, data={"version": version, **change}).status_code == 302
    with work.read() as connection:
        assert drafts.find(connection, draft.id).item_ids == (third, first)


def test_a_change_of_a_page_that_is_out_of_date_is_told_and_not_made(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    answer = studio.post(
        f"/studio/quizzes/{draft.id}/details", data={"version": 99, "title": "Late"}, follow_redirects=True
    )
    assert "read it again" in answer.text
    with work.read() as connection:
        assert drafts.find(connection, draft.id).title == "Numbers"


def test_a_window_that_is_wrong_is_told(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    data = {"opens_at": "2031-01-02T10:00", "closes_at": "2031-01-01T10:00"}
    answer = studio.post(f"/studio/quizzes/{draft.id}/publish", data=data, follow_redirects=True)
    assert "must open before it closes" in answer.text


def test_every_author_may_change_publish_and_close_anothers_quiz_and_the_studio_says_so(
    app: Flask, studio: FlaskClient, work: UnitOfWork
) -> None:
    studio.post("/studio/quizzes/new", data={"title": "Ada's"})
    work.run_in_transaction(lambda connection: users.add(connection, "bo", PASSWORD_HASH, Role.AUTHOR))
    other = app.test_client()
    sign_in(other, work, "bo")
    page = other.get("/studio").text
    assert "Every author may change, publish and close every quiz" in page
    address = match_in(r"/studio/quizzes/\d+", page)[0]
    item = work.run_in_transaction(make_item).id
    other.post(f"{address}/items", data={"version": 1, "add": f"{item}"})
    other.post(f"{address}/details", data={"version": 2, "title": "Bo's now"})
    assert "Published as version 1" in other.post(f"{address}/publish", follow_redirects=True).text
    assert "Closed." in other.post(f"{address}/close", follow_redirects=True).text
    assert "Bo&#39;s now" in studio.get("/studio").text


def test_a_title_is_shown_as_text_and_never_as_markup(studio: FlaskClient, work: UnitOfWork) -> None:
    make_draft(work, title="<script>alert(1)</script>")
    page = studio.get("/studio").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_studio_says_what_a_new_version_does_before_it_is_made(studio: FlaskClient, work: UnitOfWork) -> None:
    draft = make_draft(work)
    assert "begin anew" not in studio.get(f"/studio/quizzes/{draft.id}").text
    studio.post(f"/studio/quizzes/{draft.id}/publish", data={})
    page = studio.get(f"/studio/quizzes/{draft.id}").text
    assert "The leaderboard and the results begin anew" in page
    assert "go on with the questions of version 1" in page


def test_where_the_author_chooses_it_says_that_a_second_player_cannot_be_known(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    for quiz_id in (make_draft(work).id, make_quiz(work).quiz_id):
        assert "A second anonymous player cannot be known" in studio.get(f"/studio/quizzes/{quiz_id}").text


def test_rules_are_changed_in_the_studio_and_what_was_not_touched_stays(
    studio: FlaskClient, work: UnitOfWork, client: FlaskClient
) -> None:
    quiz = make_quiz(work)
    address = f"/studio/quizzes/{quiz.quiz_id}"
    rules = {"opens_at": f"{quiz.opens_at:%Y-%m-%dT%H:%M}", "closes_at": "2999-01-01T10:00", "answers_shown": "never"}
    assert "no new version was made" in studio.post(f"{address}/rules", data=rules, follow_redirects=True).text
    changed = client.get(f"/api/v1/quizzes/{quiz.quiz_id}").get_json()
    assert (changed["number"], changed["answers_shown"]) == (1, "never")
    assert (changed["opens_at"], changed["closes_at"]) == (quiz.opens_at.isoformat(), "2999-01-01T10:00:00+00:00")
    form = studio.get(address).text
    assert 'value="2999-01-01T10:00"' in form
    assert '<option selected value="never">' in form
    studio.post(f"{address}/rules", data={**rules, "closes_at": ""})
    assert client.get(f"/api/v1/quizzes/{quiz.quiz_id}").get_json()["closes_at"] is None


def test_a_new_title_is_seen_by_players_at_once(studio: FlaskClient, work: UnitOfWork, client: FlaskClient) -> None:
    quiz = make_quiz(work)
    assert "Numbers" in client.get(f"/quizzes/{quiz.slug}").text
    data = {"version": 1, "title": "Figures", "description": ""}
    studio.post(f"/studio/quizzes/{quiz.quiz_id}/details", data=data)
    page = client.get(f"/quizzes/{quiz.slug}").text
    assert ("Figures" in page, "Numbers" in page) == (True, False)
