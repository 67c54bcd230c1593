from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_item

ITEM = {
    "kind": "multiple",
    "stem": "Which of these are <fast> & “old”?",
    "choices": ["Cheetah", "Tortoise", "Swift 🐦"],
    "right": [0, 2],
    "explanation": "Tortoises only get old.",
    "category": "Animals",
    "difficulty": "easy",
    "source": "Ourselves",
    "licence": "MIT",
}
ADDRESS = "/api/v1/items"
Headers = dict[str, str]


@pytest.fixture
def made(client: FlaskClient, author: Headers) -> Any:
    """The answer to creating ITEM."""
    return client.post(ADDRESS, json=ITEM, headers=author)


def test_a_created_item_is_found_at_its_address(client: FlaskClient, author: Headers, made: Any) -> None:
    assert made.status_code == 201
    read = client.get(made.headers["Location"], headers=author)
    assert read.json == made.json
    assert read.headers["ETag"] == made.headers["ETag"] == '"1"'
    assert ITEM.items() <= read.json.items()


def test_only_what_is_needed_need_be_given(client: FlaskClient, author: Headers) -> None:
    small = {"kind": "single", "stem": "Why?", "choices": ["a", "b"], "right": [0]}
    made = client.post(ADDRESS, json=small, headers=author)
    assert made.get_json().items() >= {"explanation": "", "category": None, "difficulty": None}.items()


def test_the_same_item_again_is_a_conflict_that_names_the_first(
    client: FlaskClient, author: Headers, made: Any
) -> None:
    repeated = client.post(ADDRESS, json=ITEM | {"category": None}, headers=author)
    assert (repeated.status_code, repeated.get_json()["type"]) == (409, "/problems#duplicate-item")
    assert repeated.get_json()["item"] == made.get_json()["id"]


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("json.stem", {"stem": None}),
        ("json.stem", {"stem": ""}),
        ("stem", {"stem": "  "}),
        ("json.stem", {"stem": "\x00"}),
        ("json.stem", {"stem": "x" * 4001}),
        ("json.kind", {"kind": "essay"}),
        ("json.choices", {"choices": ["a"]}),
        ("json.choices.1", {"choices": ["a", 5]}),
        ("choices", {"choices": ["a", "a"], "right": [0]}),
        ("json.right.0", {"right": ["0"]}),
        ("json.right.0", {"right": [10**30]}),
        ("right", {"right": [3]}),
        ("json.difficulty", {"difficulty": "extreme"}),
        ("json.answer", {"answer": "a"}),
        ("json.id", {"id": 7}),
    ],
)
def test_what_is_not_acceptable_is_named(client: FlaskClient, author: Headers, where: str, values: Any) -> None:
    refused = client.post(ADDRESS, json=ITEM | values, headers=author)
    assert refused.status_code == 422
    assert where in {error["where"] for error in refused.get_json()["errors"]}


def test_a_body_that_is_no_json_is_refused(client: FlaskClient, author: Headers) -> None:
    assert client.post(ADDRESS, data=b"{", headers=author | {"Content-Type": "application/json"}).status_code == 400
    assert client.post(ADDRESS, data=b"stem=Why", headers=author | {"Content-Type": "text/plain"}).status_code == 415
    assert client.post(ADDRESS, json=[1], headers=author).status_code == 422
    assert client.post(ADDRESS, json=ITEM | {"stem": "x" * 2**20}, headers=author).status_code == 413


def test_a_change_needs_the_version_it_is_based_on(client: FlaskClient, author: Headers, made: Any) -> None:
    address, better = made.headers["Location"], ITEM | {"stem": "Better?"}
    assert client.put(address, json=better, headers=author).status_code == 428
    assert client.put(address, json=better, headers=author | {"If-Match": '"7"'}).status_code == 412
    changed = client.put(address, json=better, headers=author | {"If-Match": made.headers["ETag"]})
    assert (changed.status_code, changed.get_json()["stem"], changed.headers["ETag"]) == (200, "Better?", '"2"')
    assert client.put(address, json=ITEM, headers=author | {"If-Match": made.headers["ETag"]}).status_code == 412


def test_a_change_into_another_item_is_a_conflict(
    client: FlaskClient, author: Headers, work: UnitOfWork, made: Any
) -> None:
    other = work.run_in_transaction(make_item)
    conflict = client.put(f"{ADDRESS}/{other.id}", json=ITEM, headers=author | {"If-Match": '"1"'})
    assert (conflict.status_code, conflict.get_json()["item"]) == (409, made.get_json()["id"])


def test_a_deleted_item_is_gone(client: FlaskClient, author: Headers, made: Any) -> None:
    address = made.headers["Location"]
    assert client.delete(address, headers=author).status_code == 204
    assert client.get(address, headers=author).status_code == 404
    assert client.delete(address, headers=author).status_code == 404
    assert client.put(address, json=ITEM, headers=author | {"If-Match": '"1"'}).status_code == 404


def test_an_item_of_a_quiz_is_not_deleted(client: FlaskClient, author: Headers, work: UnitOfWork) -> None:
    quiz = make_draft(work)
    refused = client.delete(f"{ADDRESS}/{quiz.item_ids[0]}", headers=author)
    assert (refused.status_code, refused.get_json()["type"]) == (409, "/problems#item-in-use")


def test_a_list_is_walked_by_its_links(client: FlaskClient, author: Headers, work: UnitOfWork) -> None:
    made = work.run_in_transaction(
        lambda connection: [make_item(connection, category="Fish & chips").id for _ in range(5)]
    )
    work.run_in_transaction(make_item)
    address, listed = f"{ADDRESS}?category=Fish+%26+chips&limit=2", []
    while address:
        page = client.get(address, headers=author)
        listed += [item["id"] for item in page.get_json()["items"]]
        assert (page.get_json()["next"] is None) == ("Link" not in page.headers)
        link = page.headers.get("Link", "")
        address = link.removeprefix("<").removesuffix('>; rel="next"')
    assert listed == made


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("search=who+was", 1),
        ("search=%3F", 0),
        ("kind=true_false", 1),
        ("difficulty=hard", 1),
        ("kind=single&difficulty=hard&search=WHO", 1),
        ("category=None", 0),
    ],
)
def test_a_list_is_filtered(client: FlaskClient, author: Headers, work: UnitOfWork, query: str, count: int) -> None:
    for values in (
        {"stem": "Who was the fastest?", "difficulty": "hard"},
        {"kind": "true_false", "choices": ("True", "False")},
        {},
    ):
        work.run_in_transaction(partial(make_item, **values))
    assert len(client.get(f"{ADDRESS}?{query}", headers=author).get_json()["items"]) == count


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=many", "kind=essay", "cursor=!", "search=", f"search={'x' * 201}"],
)
def test_a_query_that_is_not_acceptable_is_refused(client: FlaskClient, author: Headers, query: str) -> None:
    assert client.get(f"{ADDRESS}?{query}", headers=author).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("GET", "/1"), ("PUT", "/1"), ("DELETE", "/1")]
)
def test_nobody_but_authors_gets_in(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(ADDRESS + path, method=method)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


@pytest.mark.parametrize("item_id", ["0", "-1", "9223372036854775808", "one"])
def test_what_cannot_be_an_id_is_not_there(client: FlaskClient, author: Headers, item_id: str) -> None:
    assert client.get(f"{ADDRESS}/{item_id}", headers=author).status_code == 404


def test_the_document_tells_how_to_ask(app: Flask) -> None:
    paths = app.test_client().get("/api/v1/openapi.json").get_json()["paths"]
    operations = {
        **paths[ADDRESS],
        **{f"{name} one": operation for name, operation in paths[f"{ADDRESS}/{{item_id}}"].items()},
    }
    operations = {
        name: operation
        for name, operation in operations.items()
        if isinstance(operation, dict) and "responses" in operation
    }
    assert {operation["operationId"] for operation in operations.values()} == {
        "listItems",
        "createItem",
        "readItem",
        "changeItem",
        "deleteItem",
    }
    assert all(operation["security"] == [{"bearer": []}] for operation in operations.values())
    assert [(parameter["name"], parameter["required"]) for parameter in operations["put one"]["parameters"]] == [
        ("If-Match", True)
    ]
    assert {"Location", "ETag"} <= operations["post"]["responses"]["201"]["headers"].keys()
    assert {"category", "difficulty", "kind", "search", "tag", "cursor", "limit"} == {
        parameter["name"] for parameter in operations["get"]["parameters"]
    }
