from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_item, make_quiz

QUIZZES = "/api/v1/quizzes"


def test_an_author_drafts_publishes_and_closes(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    created = client.post(QUIZZES, headers=author, json={"title": "Numbers", "items": [item.id]})
    assert (created.status_code, created.headers["ETag"]) == (201, '"1"')
    address = f"{QUIZZES}/{created.get_json()['id']}"
    assert client.get(address).status_code == 404
    assert client.post(f"{address}/publish", headers=author, json={}).status_code == 201
    assert client.get(address).get_json()["state"] == "open"
    assert client.post(f"{address}/close", headers=author).status_code == 204
    assert client.get(address).get_json()["state"] == "closed"


def test_the_list_shows_open_quizzes_in_pages_that_link_on(client: FlaskClient, work: UnitOfWork) -> None:
    ids = [make_quiz(work).quiz_id for _ in range(3)]
    first = client.get(f"{QUIZZES}?limit=2")
    assert [quiz["id"] for quiz in first.get_json()["quizzes"]] == [ids[2], ids[1]]
    address = first.headers["Link"].removeprefix("<").partition('>; rel="next"')[0]
    rest = client.get(address)
    assert [quiz["id"] for quiz in rest.get_json()["quizzes"]] == [ids[0]]
    assert "Link" not in rest.headers


def test_a_published_quiz_has_a_strong_tag_and_is_not_sent_twice(client: FlaskClient, work: UnitOfWork) -> None:
    address = f"{QUIZZES}/{make_quiz(work).quiz_id}"
    tag = client.get(address).headers["ETag"]
    assert tag.startswith('"')
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")


def test_the_right_answer_is_in_nothing_a_player_can_read_before_finishing(
    client: FlaskClient, work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    secrets = {'"right"', '"explanation"', "is always called that"}
    body = client.get(f"{QUIZZES}/{quiz.quiz_id}").text
    assert not [secret for secret in secrets if secret in body]


def test_the_questions_are_hidden_until_the_quiz_opens(client: FlaskClient, work: UnitOfWork) -> None:
    quiz = make_quiz(work, opens_at=datetime.now(UTC) + timedelta(hours=1))
    body = client.get(f"{QUIZZES}/{quiz.quiz_id}").get_json()
    assert (body["state"], body["questions"], body["question_count"]) == ("upcoming", [], 2)


def test_a_change_needs_the_version_it_is_based_on(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    address = f"{QUIZZES}/{make_draft(work).id}/draft"
    body = {"title": "Renamed"}
    assert client.put(address, headers=author, json=body).status_code == 428
    assert client.put(address, headers={**author, "If-Match": '"9"'}, json=body).status_code == 412
    changed = client.put(address, headers={**author, "If-Match": '"1"'}, json=body)
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')


def test_only_drafts_can_be_deleted(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    draft, quiz = make_draft(work), make_quiz(work)
    assert client.delete(f"{QUIZZES}/{draft.id}", headers=author).status_code == 204
    refused = client.delete(f"{QUIZZES}/{quiz.quiz_id}", headers=author)
    assert (refused.status_code, refused.get_json()["type"]) == (409, "/problems#quiz-published")


def test_rules_change_without_a_new_version_and_without_losing_the_board(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    address = f"{QUIZZES}/{quiz.quiz_id}"
    attempt = client.post(f"{address}/attempts", json={"name": "Grace"}).headers["Location"]
    client.post(f"{attempt}/finish")
    tag = client.get(address).headers["ETag"]
    rules = {"title": "Figures", "closes_at": "2999-01-01T10:00:00+00:00", "answers_shown": "never"}
    changed = client.patch(address, headers=author, json=rules)
    assert changed.status_code == 200
    assert {name: changed.get_json()[name] for name in (*rules, "number")} == {**rules, "number": 1}
    seen = client.get(address)
    assert (seen.get_json()["title"], seen.headers["ETag"] != tag) == ("Figures", True)
    assert [place["player_name"] for place in client.get(f"{address}/leaderboard").get_json()["places"]] == ["Grace"]
    assert client.get(f"{address}/draft", headers=author).get_json()["title"] == "Figures"
    back = client.patch(address, headers=author, json={"closes_at": None, "answers_shown": None})
    assert (back.get_json()["closes_at"], back.get_json()["answers_shown"]) == (None, "after_finishing")


@pytest.mark.parametrize(
    "rules",
    [
        {"closes_at": "2001-01-01T00:00:00+00:00"},
        {"opens_at": "2031-01-01T00:00:00+00:00", "closes_at": "2030-01-01T00:00:00+00:00"},
        {"closes_at": "9999-12-31T23:59:59+00:00"},
        {"answers_shown": "sometimes"},
        {"opens_at": None},
        {"title": "\u200b"},
        {"items": []},
    ],
)
def test_rules_that_make_no_sense_are_refused(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork, rules: dict[str, object]
) -> None:
    address = f"{QUIZZES}/{make_quiz(work).quiz_id}"
    before = client.get(address).get_json()
    assert client.patch(address, headers=author, json=rules).status_code == 422
    assert client.get(address).get_json() == before


def test_rules_are_changed_by_authors_and_of_published_quizzes_only(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    assert client.patch(f"{QUIZZES}/{make_quiz(work).quiz_id}", json={"title": "Mine"}).status_code == 401
    assert client.patch(f"{QUIZZES}/{make_draft(work).id}", headers=author, json={"title": "x"}).status_code == 404


def test_with_an_end_right_answers_are_shown_after_it_and_without_one_after_finishing(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    address = f"{QUIZZES}/{make_draft(work).id}"
    end = {"closes_at": "2999-01-01T10:00:00+00:00"}
    first = client.post(f"{address}/publish", headers=author, json={}).get_json()
    assert (first["closes_at"], first["answers_shown"]) == (None, "after_finishing")
    second = client.post(f"{address}/publish", headers=author, json=end).get_json()
    assert (second["number"], second["answers_shown"]) == (2, "after_closing")
    third = client.post(f"{address}/publish", headers=author, json={"answers_shown": "never"}).get_json()
    assert (third["closes_at"], third["answers_shown"]) == (end["closes_at"], "never")


def test_a_draft_has_sections_points_and_draws(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    body: dict[str, Any] = {
        "title": "Pools",
        "items": [item.id],
        "sections": [{"before": 0, "title": "Vocabulary"}],
        "points": {str(item.id): 2},
        "draws": [{"position": 1, "size": 5, "category": "Databases", "difficulty": "easy", "tag": None, "points": 1}],
    }
    body["draws"][0]["for_each_player"] = True
    created = client.post(QUIZZES, headers=author, json=body)
    assert created.status_code == 201, created.text
    assert created.get_json()["draws"] == body["draws"]
