"""A request that is sent again under the same Idempotency-Key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD, PASSWORD_HASH
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.db.timestamps import database_now
from webapp.lab.factories import make_draft
from webapp.quizzes.models import Quiz
from webapp.web.rest.models import IdempotencyKey

KEY = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}


def draft(client: FlaskClient, headers: dict[str, str], title: str = "Numbers") -> TestResponse:
    return client.post("/api/v1/quizzes", headers=headers, json={"title": title})


def count(work: UnitOfWork, rows: type[Quiz | IdempotencyKey]) -> int:
    with work.read() as connection:
        return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def test_the_same_request_sent_again_makes_nothing_new(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    first, again = draft(client, author | KEY), draft(client, author | KEY)
    assert (again.status_code, again.json, again.headers["Location"]) == (201, first.json, first.headers["Location"])
    assert count(work, Quiz) == 1


def test_without_a_key_every_request_makes_something(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    assert draft(client, author).get_json()["id"] != draft(client, author).get_json()["id"]
    assert count(work, Quiz) == 2


def test_a_repeat_gets_what_was_made_as_it_is_now(client: FlaskClient, author: dict[str, str]) -> None:
    created = draft(client, author | KEY)
    changed = client.put(
        f"/api/v1/quizzes/{created.get_json()['id']}/draft",
        headers=author | {"If-Match": '"1"'},
        json={"title": "Renamed"},
    )
    assert changed.status_code == 200
    assert draft(client, author | KEY).get_json()["title"] == "Renamed"


def test_the_bank_takes_an_item_once_and_says_so_again(client: FlaskClient, author: dict[str, str]) -> None:
    item = {"kind": "single", "stem": "What is kept?", "choices": ["This", "That"], "right": [0]}
    first = client.post("/api/v1/items", headers=author | KEY, json=item)
    assert first.status_code == 201, first.text
    again = client.post("/api/v1/items", headers=author | KEY, json=item)
    assert (again.status_code, again.get_json()["id"]) == (201, first.get_json()["id"])
    assert client.post("/api/v1/items", headers=author, json=item).status_code == 409


def test_a_key_of_another_request_is_refused(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    draft(client, author | KEY)
    other = draft(client, author | KEY, "Letters")
    assert (other.status_code, other.get_json()["type"].rpartition("#")[2]) == (422, "key-reused")
    assert "make a new key" in other.get_json()["detail"]
    assert count(work, Quiz) == 1


def test_everybody_has_keys_of_their_own(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: users.add(connection, "grace", PASSWORD_HASH, Role.AUTHOR))
    token = client.post("/api/v1/tokens", json={"name": "grace", "password": PASSWORD}).get_json()["token"]
    ours, theirs = draft(client, author | KEY), draft(client, {"Authorization": f"Bearer {token}"} | KEY)
    assert ours.get_json()["id"] != theirs.get_json()["id"]


def test_a_request_that_was_refused_leaves_its_key_free(client: FlaskClient, author: dict[str, str]) -> None:
    refused = client.post("/api/v1/quizzes", headers=author | KEY, json={"title": "Numbers", "items": [999]})
    assert refused.status_code == 422
    assert draft(client, author | KEY).status_code == 201


def test_of_many_that_come_at_once_one_makes_it(app: Flask, author: dict[str, str], work: UnitOfWork) -> None:
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: draft(app.test_client(), author | KEY), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert count(work, Quiz) == 1


@pytest.mark.parametrize("key", ["", '""', "ä", "a b", 'a"b', "x" * 129])
def test_what_is_no_key_is_refused_with_what_to_do(client: FlaskClient, author: dict[str, str], key: str) -> None:
    refused = draft(client, author | {"Idempotency-Key": key})
    assert refused.status_code == 422
    assert "1 to 128 visible ASCII characters" in refused.get_json()["detail"]


def test_a_key_is_forgotten_after_a_day(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    draft(client, author | KEY)
    with work.transaction() as connection:
        then = database_now(connection) - timedelta(hours=25)
        connection.execute(update(IdempotencyKey).values(used_at=then))
    draft(client, author | {"Idempotency-Key": "another"})
    assert count(work, IdempotencyKey) == 1


MAKERS: dict[str, tuple[str, dict[str, Any], int]] = {
    "createItem": (
        "/api/v1/items",
        {"json": {"kind": "single", "stem": "What is kept?", "choices": ["This", "That"], "right": [0]}},
        201,
    ),
    "createQuiz": ("/api/v1/quizzes", {"json": {"title": "Numbers"}}, 201),
    "publishQuiz": ("/api/v1/quizzes/{quiz}/publish", {"json": {}}, 201),
    "startCollection": ("/api/v1/collection-runs", {"json": {"source": "opentdb"}}, 201),
    "importItems": ("/api/v1/items/import?format=gift", {"data": b"::one:: Two plus two? {=4 ~5}"}, 201),
}
"""Every POST of REST that makes something: its address, what is sent, and the status."""
MAKING_NOTHING = {
    "createToken": "stores nothing",
    "startAttempt": "stores nothing; the attempt begins with its first answer",
    "finishAttempt": "a repeat returns the same result",
    "closeQuiz": "a repeat changes nothing",
    "renewJoinCode": "a repeat makes another code in place of the first",
    "cancelCollection": "changes one run, once; a repeat is refused",
    "resumeCollection": "changes one run, once; a repeat is refused",
    "carryOutImport": "changes one import, once; a repeat is refused",
    "undoImport": "a repeat changes nothing",
}
"""All others, with the reason why they need no key."""


def test_every_post_takes_a_key_or_has_a_reason_not_to(app: Flask, client: FlaskClient) -> None:
    paths = client.get("/api/v1/openapi.json").get_json()["paths"]
    posts = [operations["post"] for operations in paths.values() if "post" in operations]
    rules = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and "POST" in (rule.methods or ())
    }
    assert len(posts) == len(rules), "a POST that is not in the document"
    keyed = {
        post["operationId"]
        for post in posts
        if "Idempotency-Key" in {parameter["name"] for parameter in post.get("parameters", ())}
    }
    assert keyed == set(MAKERS)
    assert {post["operationId"] for post in posts} - keyed == set(MAKING_NOTHING)


@pytest.mark.parametrize("operation", MAKERS)
def test_what_makes_something_makes_it_once(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork, operation: str
) -> None:
    address, sent, status = MAKERS[operation]
    address = address.format(quiz=make_draft(work).id)
    first, again = (client.post(address, headers=author | KEY, **sent) for _ in range(2))
    assert (first.status_code, again.status_code) == (status, status), again.text
    assert (again.json, again.headers["Location"]) == (first.json, first.headers["Location"])


def test_a_quiz_that_is_published_again_with_the_same_key_has_one_version(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    one, other = make_draft(work).id, make_draft(work).id
    publish = "/api/v1/quizzes/{}/publish"
    numbers = [client.post(publish.format(one), headers=author | KEY, json={}).get_json()["number"] for _ in range(3)]
    assert numbers == [1, 1, 1]
    assert client.post(publish.format(other), headers=author | KEY, json={}).status_code == 422
    assert client.post(publish.format(one), headers=author, json={}).get_json()["number"] == 2


def test_a_file_that_was_refused_leaves_its_key_free(client: FlaskClient, author: dict[str, str]) -> None:
    address = "/api/v1/items/import?format=json"
    good = b'[{"kind": "single", "stem": "Q?", "choices": ["a", "b"], "right": [0]}]'
    assert client.post(address, headers=author | KEY, data=b"no JSON").status_code == 422
    assert client.post(address, headers=author | KEY, data=b"no JSON").status_code == 422
    imported = client.post(address, headers=author | KEY, data=good)
    assert (imported.status_code, imported.get_json()["new"]) == (201, 1)
    assert client.post(address, headers=author | KEY, data=good + b" ").status_code == 422
