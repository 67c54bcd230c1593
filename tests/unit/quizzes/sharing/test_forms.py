from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_quiz


def test_a_schedule_is_written_and_shown_in_the_authors_time_zone_and_stored_in_utc(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    quiz_id = make_draft(work).id
    address = f"/studio/quizzes/{quiz_id}"
    schedule = {"opens_at": "2031-01-02T09:00", "closes_at": "2031-01-02T10:30", "time_zone": "Asia/Seoul"}
    studio.post(f"{address}/publish", data=schedule)
    stored = studio.get(f"/api/v1/quizzes/{quiz_id}").get_json()
    assert (stored["opens_at"], stored["closes_at"]) == ("2031-01-02T00:00:00+00:00", "2031-01-02T01:30:00+00:00")
    # The choice is kept in this browser, and what the form shows is no change when it is sent back.
    page = studio.get(address).text
    assert 'value="2031-01-02T09:00"' in page
    assert '<option selected value="Asia/Seoul">' in page
    studio.post(f"{address}/rules", data=schedule)
    assert studio.get(f"/api/v1/quizzes/{quiz_id}").get_json() == stored


def test_the_time_zone_of_the_browser_is_taken_until_one_is_chosen(studio: FlaskClient, work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_draft(work).id}"
    assert 'data-known="no"' in studio.get(address).text
    studio.set_cookie("time_zone", "Europe/Berlin", path="/studio")
    assert '<option selected value="Europe/Berlin">' in studio.get(address).text
    studio.set_cookie("time_zone", "<script>", path="/studio")
    assert '<option selected value="UTC">' in studio.get(address).text


def test_a_time_that_does_not_exist_is_told_with_the_next_one_that_does(studio: FlaskClient, work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_draft(work).id}/publish"
    data = {"opens_at": "2030-03-31T02:30", "time_zone": "Europe/Berlin"}
    page = studio.post(address, data=data, follow_redirects=True).text
    assert "Opens: 02:30 does not exist in Europe/Berlin on this day" in page
    assert "Choose 03:30" in page


def test_of_a_time_that_comes_twice_it_is_told_which_was_taken_and_sending_it_back_changes_nothing(
    studio: FlaskClient, work: UnitOfWork, author: dict[str, str]
) -> None:
    quiz_id = make_quiz(work).quiz_id
    address = f"/studio/quizzes/{quiz_id}/rules"
    data = {"opens_at": "", "closes_at": "2030-10-27T02:30", "time_zone": "Europe/Berlin"}
    page = studio.post(address, data=data, follow_redirects=True).text
    assert "02:30 comes twice in Europe/Berlin. The first one is taken, 00:30 UTC" in page
    api = f"/api/v1/quizzes/{quiz_id}"
    assert studio.get(api).get_json()["closes_at"] == "2030-10-27T00:30:00+00:00"
    second = "2030-10-27T01:30:00+00:00"
    studio.patch(api, json={"closes_at": second}, headers=author)
    studio.post(address, data=data)
    assert studio.get(api).get_json()["closes_at"] == second


def test_what_is_no_choice_of_the_form_is_refused(studio: FlaskClient, work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_draft(work).id}/publish"
    for data in (
        {"time_zone": "Mars/Olympus"},
        {"visibility": "secret"},
        {"closes_at": "0001-01-01T00:00", "time_zone": "Asia/Seoul"},
    ):
        assert "Choose " in studio.post(address, data=data, follow_redirects=True).text
