"""Files in and out over REST."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof import deadlines
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.pools import queue_pool
from webapp.bank import exports, import_service, import_undo
from webapp.bank.exports import ExportFormat
from webapp.bank.formats import native_json
from webapp.lab.factories import item_draft, make_draft, make_item
from webapp.web import uploads

FILE = b"""#Q Which river is long?
^ Nile
A Rhine
B Nile

#Q Which one?
^ Both
A One
B Other
"""
TRIVIA = "/api/v1/items/import?format=opentriviaqa&category=Water&name=rivers.txt"
Headers = dict[str, str]


@pytest.fixture
def small(app: Flask) -> Iterator[int]:
    """Let only small files in."""
    before = app.config[uploads.MAX_UPLOAD_CONFIG_KEY]
    app.config[uploads.MAX_UPLOAD_CONFIG_KEY] = 2 * 1024 * 1024
    yield app.config[uploads.MAX_UPLOAD_CONFIG_KEY]
    app.config[uploads.MAX_UPLOAD_CONFIG_KEY] = before


def test_a_file_is_imported_and_told_of_record_by_record(client: FlaskClient, author: Headers) -> None:
    answer = client.post(TRIVIA, data=FILE, headers=author)
    assert answer.status_code == 201
    body = answer.get_json()
    assert (body["state"], body["new"], body["rejected"], body["account"]) == ("done", 1, 1, "ada")
    assert body["reasons"] == [{"line": 6, "reason": "The answer 'Both' matches no option."}]
    assert client.get(answer.headers["Location"], headers=author).json == body
    assert [item["category"] for item in client.get("/api/v1/items", headers=author).get_json()["items"]] == ["Water"]


def test_a_dry_run_stores_nothing_and_its_file_can_be_imported_by_its_number(
    client: FlaskClient, author: Headers
) -> None:
    checked = client.post(f"{TRIVIA}&dry_run=true", data=FILE, headers=author)
    assert (checked.status_code, checked.get_json()["state"], checked.get_json()["new"]) == (200, "checked", 1)
    assert client.get("/api/v1/items", headers=author).get_json()["items"] == []
    done = client.post(f"{checked.headers['Location']}/import", headers=author)
    assert (done.status_code, done.get_json()["state"], done.get_json()["new"]) == (200, "done", 1)
    assert client.post(f"{checked.headers['Location']}/import", headers=author).status_code == 409


def test_a_repeated_import_adds_nothing(client: FlaskClient, author: Headers) -> None:
    counts = [client.post(TRIVIA, data=FILE, headers=author).get_json()["new"] for _ in range(2)]
    assert counts == [1, 0]


def test_an_import_is_undone_as_often_as_one_likes(client: FlaskClient, author: Headers) -> None:
    address = client.post(TRIVIA, data=FILE, headers=author).headers["Location"]
    for _ in range(2):
        undone = client.post(f"{address}/undo", headers=author)
        assert (undone.status_code, undone.get_json()["state"], undone.get_json()["removed"]) == (200, "undone", 1)
    assert client.get("/api/v1/items", headers=author).get_json()["items"] == []


def test_what_stays_when_an_import_is_undone_is_named(client: FlaskClient, author: Headers) -> None:
    made = client.post(TRIVIA, data=FILE, headers=author)
    item = client.get("/api/v1/items", headers=author).get_json()["items"][0]["id"]
    client.post("/api/v1/quizzes", json={"title": "Rivers", "items": [item]}, headers=author)
    undone = client.post(f"{made.headers['Location']}/undo", headers=author).get_json()
    assert undone["stayed"] == [{"item": item, "reason": import_undo.IN_USE}]


def test_a_file_larger_than_any_json_body_is_taken(client: FlaskClient, author: Headers, small: int) -> None:
    comment = b"x" * 1000
    body = b"".join(b"#Q Is %d it?\n^ yes\nA yes\nB no %s\n\n" % (number, comment[:400]) for number in range(20))
    padding = b"A line of no use\n" * ((small - 200_000) // 17)
    answer = client.post(TRIVIA, data=body + b"#Q End?\n" + padding, headers=author)
    assert (answer.status_code, answer.get_json()["new"]) == (201, 20)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    client: FlaskClient, author: Headers, small: int, is_told: bool
) -> None:
    body = b"x" * (small + 100_000 * is_told + 10)
    answer = client.post(TRIVIA, data=body, headers=author)
    assert answer.status_code == 413
    assert client.get("/api/v1/imports", headers=author).get_json()["imports"] == []


def test_a_stranger_sends_nothing_large(client: FlaskClient, app: Flask) -> None:
    assert client.post(TRIVIA, data=b"x" * (app.config["MAX_CONTENT_LENGTH"] + 1)).status_code in {401, 413}
    assert client.post("/api/v1/tokens", data=b"x").status_code == 415


def test_a_file_that_is_not_of_its_format_is_refused(client: FlaskClient, author: Headers) -> None:
    answer = client.post("/api/v1/items/import?format=json", data=b"{", headers=author)
    assert answer.status_code == 422
    assert "this is not JSON" in answer.get_json()["detail"]


def test_a_second_import_in_the_same_worker_is_told_to_come_again(client: FlaskClient, author: Headers) -> None:
    with import_service.import_lock():
        answer = client.post(TRIVIA, data=FILE, headers=author)
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 4
    assert client.post(TRIVIA, data=FILE, headers=author).get_json()["new"] == 1


def test_imports_are_listed_in_pages(client: FlaskClient, author: Headers) -> None:
    made = [client.post(TRIVIA, data=FILE, headers=author).get_json()["id"] for _ in range(3)]
    first = client.get("/api/v1/imports?limit=2", headers=author)
    rest = client.get(f"/api/v1/imports?limit=2&cursor={first.get_json()['next']}", headers=author)
    assert [each["id"] for each in first.get_json()["imports"] + rest.get_json()["imports"]] == made[::-1]
    assert 'rel="next"' in first.headers["Link"]


def test_an_items_earlier_versions_are_listed(client: FlaskClient, author: Headers, work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    changed = {name: getattr(item, name) for name in ("kind", "stem", "choices", "right")} | {"explanation": "New."}
    client.put(f"/api/v1/items/{item.id}", json=changed, headers=author | {"If-Match": '"1"'})
    body = client.get(f"/api/v1/items/{item.id}/versions", headers=author).get_json()["versions"]
    assert [(each["version"], each["explanation"]) for each in body] == [(1, item.explanation)]
    assert client.get("/api/v1/items/999999/versions", headers=author).status_code == 404


def test_an_export_is_a_file_that_can_be_imported_again(client: FlaskClient, author: Headers, work: UnitOfWork) -> None:
    work.run_in_transaction(make_item)
    answer = client.get("/api/v1/items/export", headers=author)
    assert answer.headers["Content-Disposition"] == "attachment; filename=items.json"
    repeated = client.post("/api/v1/items/import?format=json", data=answer.data, headers=author)
    assert (repeated.get_json()["duplicate"], repeated.get_json()["new"]) == (1, 0)


def test_an_export_may_be_of_a_category(client: FlaskClient, author: Headers, work: UnitOfWork) -> None:
    make_draft(work)
    water = work.run_in_transaction(lambda connection: make_item(connection, category="Water"))
    answer = client.get("/api/v1/items/export?format=gift&category=Water", headers=author)
    assert answer.mimetype == "text/plain"
    assert water.stem.rstrip("?") in answer.text
    assert answer.text.count("{") == 1


def test_an_export_holds_no_connection_while_a_piece_is_sent_and_outlives_the_deadline(
    pooling: PoolingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE_SIZE", 2)
    for _ in range(5):
        pooling.work.run_in_transaction(make_item)

    def a_request() -> list[str]:
        deadlines.set_deadline(0)
        pieces = []
        for piece in exports.stream_export(pooling.background, ExportFormat.JSON, None):
            assert queue_pool(pooling.background.engine).checkedout() == 0
            pieces.append(piece)
        return pieces

    assert len(json.loads("".join(copy_context().run(a_request)))["items"]) == 5


def test_a_file_that_comes_in_chunks_needs_no_length(client: FlaskClient, author: Headers) -> None:
    class Chunks(io.BytesIO):
        """No more at a time than has come."""

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(100 if size is None or size < 0 else min(size, 100))

    body = Chunks("".join(native_json.dump([item_draft() for _ in range(3)])).encode())
    terminated = {"wsgi.input_terminated": True}
    headers = author | {"Transfer-Encoding": "chunked"}
    address = "/api/v1/items/import?format=json"
    answer = client.post(address, input_stream=body, headers=headers, environ_overrides=terminated)
    assert answer.get_json()["new"] == 3
