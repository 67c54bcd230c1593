from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
