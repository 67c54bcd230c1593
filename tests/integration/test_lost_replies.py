"""The reply to a COMMIT is lost: a client is told what is known of its request, and not to repeat what may be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL, make_url
from werkzeug.test import TestResponse

from tests.support.application import app_on, make_ready_for_tests
from tests.support.databases import Databases
from tests.support.narrowing import not_none
from tests.support.sessions import sign_in, token_of
from webapp.first_start import FIRST_AUTHOR
from webapp.lab.services.processes import free_port
from webapp.lab.services.programs import Flavour
from webapp.lab.services.proxy import Proxy

QUIZZES = "/api/v1/quizzes"
DRAFT: dict[str, Any] = {"title": "Lost and found", "items": []}
FILE = b"#Q Which river is long?\n^ Nile\nA Rhine\nB Nile\n\n"


@pytest.fixture
def database_url(databases: Databases, server_flavour: Flavour) -> URL:
    """Where there is a prepared schema."""
    return make_url(databases.copy(server_flavour, "lost_replies", "prepared"))


@pytest.fixture
def proxy(database_url: URL) -> Iterator[Proxy]:
    with closing(Proxy(not_none(database_url.port))) as proxy:
        yield proxy


@pytest.fixture
def app(proxy: Proxy, database_url: URL, tmp_path: Path) -> Iterator[Flask]:
    """The app, whose every connection goes through the proxy."""
    url = database_url.set(port=proxy.port)
    with app_on(url.render_as_string(hide_password=False), tmp_path) as app:
        make_ready_for_tests(app)
        yield app
        app.extensions["attempt_service"].writer.group_commit.stop()


@pytest.fixture
def headers(app: Flask) -> dict[str, str]:
    client = app.test_client()
    return {"Authorization": f"Bearer {token_of(client, app.extensions['pooling'].work, FIRST_AUTHOR)}"}


def titles(client: FlaskClient) -> list[str]:
    """Return the titles of all drafts of this test, as an author's list shows them."""
    work = client.application.extensions["pooling"].work
    with work.read() as connection:
        rows = connection.exec_driver_sql("SELECT title FROM quiz WHERE title LIKE 'Lost%%'")
        return [str(row.title) for row in rows]


def outcome(response: TestResponse) -> tuple[int, str]:
    assert response.headers["Retry-After"].isdecimal()
    return response.status_code, response.get_json()["outcome"]


def test_a_quiz_whose_commit_went_unheard_is_not_to_be_made_again_without_a_look(
    client: FlaskClient, headers: dict[str, str], proxy: Proxy
) -> None:
    proxy.cut_reply(b"COMMIT")
    response = client.post(QUIZZES, json=DRAFT, headers=headers)
    assert proxy.is_cut()
    assert outcome(response) == (503, "unknown")
    assert "It is not known whether it was stored. Look before you repeat the request." in response.get_json()["detail"]
    assert titles(client) == ["Lost and found"], "and stored it was"


def test_with_a_key_it_is_repeated_by_the_server_or_else_safely_by_the_client(
    client: FlaskClient, headers: dict[str, str], proxy: Proxy
) -> None:
    keyed = headers | {"Idempotency-Key": "lost-1"}
    proxy.cut_reply(b"COMMIT")
    first = client.post(QUIZZES, json=DRAFT, headers=keyed)
    assert (proxy.is_cut(), first.status_code) == (True, 201)
    other = {"Idempotency-Key": "lost-2"}
    port = proxy.target_port
    # The server is gone as well when the unit of work is tried again.
    proxy.cut_reply(b"COMMIT", lambda: proxy.redirect(free_port()))
    second = client.post(QUIZZES, json=DRAFT | {"title": "Lost again"}, headers=headers | other)
    assert outcome(second) == (503, "unknown")
    assert "Repeat the request with the same Idempotency-Key: that is safe" in second.get_json()["detail"]
    proxy.redirect(port)
    repeated = client.post(QUIZZES, json=DRAFT | {"title": "Lost again"}, headers=headers | other)
    assert repeated.status_code == 201
    assert sorted(titles(client)) == ["Lost again", "Lost and found"]


def test_what_was_lost_before_its_commit_is_told_as_not_done(
    client: FlaskClient, headers: dict[str, str], proxy: Proxy
) -> None:
    proxy.cut_reply(b"INSERT INTO quiz")
    response = client.post(QUIZZES, json=DRAFT, headers=headers)
    assert proxy.is_cut()
    assert outcome(response) == (503, "not-done")
    assert "Nothing was changed; please repeat the request." in response.get_json()["detail"]
    assert titles(client) == []


def test_a_put_whose_commit_went_unheard_may_be_repeated(
    client: FlaskClient, headers: dict[str, str], proxy: Proxy
) -> None:
    made = client.post(QUIZZES, json=DRAFT, headers=headers)
    proxy.cut_reply(b"COMMIT")
    versioned = headers | {"If-Match": made.headers["ETag"]}
    changed = DRAFT | {"title": "Lost, changed"}
    response = client.put(made.headers["Location"], json=changed, headers=versioned)
    assert proxy.is_cut()
    assert outcome(response) == (503, "unknown")
    assert "Repeat the request: that is safe, it takes effect once." in response.get_json()["detail"]
    assert client.put(made.headers["Location"], json=changed, headers=versioned).status_code == 412
    assert titles(client) == ["Lost, changed"]


def test_an_import_that_breaks_off_after_its_file_was_stored_says_that_a_part_is_done(
    client: FlaskClient, headers: dict[str, str], proxy: Proxy
) -> None:
    proxy.cut_reply(b"INSERT INTO item (")
    address = "/api/v1/items/import?format=opentriviaqa&name=rivers"
    response = client.post(address, data=FILE, headers=headers)
    assert proxy.is_cut()
    assert outcome(response) == (503, "partly-done")
    assert "A part of it was stored before, the rest was not. Repeat the request" in response.get_json()["detail"]


def test_a_page_does_not_ask_to_send_again_what_may_be_stored(client: FlaskClient, proxy: Proxy) -> None:
    sign_in(client, client.application.extensions["pooling"].work, FIRST_AUTHOR)
    proxy.cut_reply(b"COMMIT")
    response = client.post("/studio/quizzes/new", data={"title": "Lost on a page"})
    assert proxy.is_cut()
    assert response.status_code == 503
    assert "It is not known whether it was stored." in response.text
    assert "send only what is missing" in response.text


def test_an_answer_whose_commit_went_unheard_is_stored_by_its_repeat_or_told_as_not_known(
    client: FlaskClient, proxy: Proxy
) -> None:
    quiz = client.get(QUIZZES).get_json()["quizzes"][0]["id"]
    items = [question["item"] for question in client.get(f"{QUIZZES}/{quiz}").get_json()["questions"]]
    attempt = client.post(f"{QUIZZES}/{quiz}/attempts", json={}).headers["Location"]
    proxy.cut_reply(b"COMMIT")
    assert client.put(f"{attempt}/answers/{items[0]}", json={"choices": [0]}).status_code == 200
    assert proxy.is_cut()
    port = proxy.target_port
    # In autocommit mode the statement is its own transaction.
    proxy.cut_reply(b"INSERT INTO answer", lambda: proxy.redirect(free_port()))
    response = client.put(f"{attempt}/answers/{items[1]}", json={"choices": [0]})
    assert proxy.is_cut()
    assert outcome(response) == (503, "unknown")
    assert "Send it again; that is safe." in response.get_json()["detail"]
    proxy.redirect(port)
    assert client.put(f"{attempt}/answers/{items[1]}", json={"choices": [0]}).status_code == 200
