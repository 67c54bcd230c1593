"""Requests that take long get a share of the request threads, here with all places held or all free."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import Context

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poolproof.core.queue_pool import FairQueuePool
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.sessions import sign_in
from tests.support.waiting import wait_until
from webapp.web.long_work import LARGE_BODY_BYTES

EXPORT = "/api/v1/items/export"
IMPORT = "/api/v1/items/import?format=json"
EMPTY_FILE = b'{"format": "poolproof items", "version": 1, "items": []}'
ITEMS = "/api/v1/items"
Headers = dict[str, str]


@pytest.fixture
def author_client(client: FlaskClient, author: Headers, work: UnitOfWork) -> FlaskClient:
    """An author's browser."""
    sign_in(client, work, "ada")
    return client


@contextmanager
def all_places_held(pooling: PoolingState) -> Iterator[None]:
    """As if other requests held every place."""
    with ExitStack() as stack:
        for _ in range(pooling.long_work.limit):
            hold = pooling.long_work.hold()
            # Each in a context of its own, as each request has one.
            Context().run(hold.__enter__)
            stack.callback(hold.__exit__, None, None, None)
        yield


def test_half_of_the_request_threads_may_be_occupied_for_long(pooling: PoolingState) -> None:
    assert pooling.long_work.limit == pooling.fleet.threads // 2 > 0


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", EXPORT), ("POST", IMPORT), ("POST", "/api/v1/imports/1/import"), ("POST", "/api/v1/imports/1/undo"),
        ("GET", "/studio/export"), ("POST", "/studio/import"), ("POST", "/studio/imports/1/import"),
        ("POST", "/studio/imports/1/undo"),
    ],
)  # fmt: skip
def test_a_transfer_for_which_no_place_is_free_is_refused_with_the_reason(
    author_client: FlaskClient, author: Headers, pooling: PoolingState, method: str, address: str
) -> None:
    with all_places_held(pooling):
        refused = author_client.open(address, method=method, headers=author)
    assert (refused.status_code, refused.mimetype) == (
        503, "application/problem+json" if address.startswith("/api/") else "text/html"
    )  # fmt: skip
    assert 1 <= int(refused.headers["Retry-After"]) <= 4
    assert "As many requests that take long (imports, exports, large files" in refused.text


def test_other_requests_to_the_same_pages_need_no_place(author_client: FlaskClient, pooling: PoolingState) -> None:
    with all_places_held(pooling):
        assert author_client.get("/studio/import").status_code == 200
        assert author_client.get("/studio/items").status_code == 200
        assert author_client.get("/healthz").status_code == 200


def test_a_large_body_needs_a_place_whatever_it_is_for_and_a_small_one_does_not(
    client: FlaskClient, author: Headers, pooling: PoolingState
) -> None:
    large, small = b" " * (LARGE_BODY_BYTES + 1), b" " * LARGE_BODY_BYTES
    chunked = author | {"Transfer-Encoding": "chunked"}

    def status(body: bytes = b"", headers: Headers = author) -> int:
        return client.post(ITEMS, data=body, headers=headers, content_type="application/json").status_code

    with all_places_held(pooling):
        assert [status(large), status(small), status(headers=chunked)] == [503, 400, 503]
    assert status(large) == 400


def test_an_export_holds_its_place_until_its_last_byte_is_sent(
    client: FlaskClient, author: Headers, pooling: PoolingState
) -> None:
    response = client.get(EXPORT, headers=author)
    assert (response.status_code, pooling.long_work.held()) == (200, 1)
    assert response.get_json()["items"] == []
    assert pooling.long_work.held() == 0
    abandoned = client.get(EXPORT, headers=author)
    assert pooling.long_work.held() == 1
    abandoned.close()
    assert pooling.long_work.held() == 0


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("HEAD", EXPORT, 200), ("GET", f"{EXPORT}?format=none", 422), ("POST", "/api/v1/imports/999999/undo", 404)],
)
def test_a_request_that_sends_no_body_or_fails_gives_its_place_back(
    client: FlaskClient, author: Headers, method: str, address: str, status: int
) -> None:
    pooling: PoolingState = client.application.extensions["pooling"]
    assert client.open(address, method=method, headers=author, buffered=True).status_code == status
    assert pooling.long_work.held() == 0


def test_an_import_is_counted_once_and_gives_its_place_back(
    client: FlaskClient, author: Headers, pooling: PoolingState
) -> None:
    assert client.post(IMPORT, data=EMPTY_FILE, headers=author).status_code == 201
    assert pooling.long_work.held() == 0


def test_plain_requests_that_wait_for_a_paused_lane_leave_threads_for_others(
    app: Flask, author: Headers, pooling: PoolingState
) -> None:
    pool = pooling.work.engine.pool
    assert isinstance(pool, FairQueuePool)
    limit = pooling.long_work.limit
    pool.suspend()
    with ThreadPoolExecutor(2 * limit) as threads:
        try:
            waiting = [
                threads.submit(lambda: app.test_client().get("/api/v1/items", headers=author)) for _ in range(2 * limit)
            ]
            wait_until(lambda: sum(future.done() for future in waiting) == limit)
            assert pool.waiting() == limit
        finally:
            pool.resume()
        assert sorted(future.result().status_code for future in waiting) == [200] * limit + [503] * limit
