"""Every checkout is recorded with its request, and forgotten when the connection is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.leaks.checkout_registry import MAX_STATEMENT_LENGTH, CheckoutRegistry, track_checkouts
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from tests.support.pools import queue_pool

ONE = text("SELECT 1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}", poolclass=FairQueuePool, pool_size=3)
    yield engine
    engine.dispose()


@pytest.fixture
def registry(engine: Engine) -> CheckoutRegistry:
    return track_checkouts(engine, "test")


@pytest.fixture
def request_checkouts() -> Iterator[RequestCheckouts]:
    request = RequestCheckouts()
    request.name = "GET quiz"
    token = current_request.set(request)
    yield request
    current_request.reset(token)


def test_a_checkout_lasts_until_the_connection_is_back(engine: Engine, registry: CheckoutRegistry) -> None:
    with engine.connect():
        (checkout,) = registry.live()
        assert not checkout.is_returned
    assert checkout.is_returned
    assert registry.live() == []


def test_a_connection_that_a_later_listener_finds_dead_is_one_checkout(
    engine: Engine, registry: CheckoutRegistry, request_checkouts: RequestCheckouts
) -> None:
    verdicts = [DisconnectionError("the first is dead"), None]

    @event.listens_for(engine, "checkout")
    def judge(dbapi_connection: object, record: object, proxy: object) -> None:
        if verdicts and (verdict := verdicts.pop(0)) is not None:
            raise verdict

    with engine.connect() as connection:
        assert request_checkouts.live() == registry.live()
        (checkout,) = registry.live()
        assert checkout.dbapi_connection is connection.connection.dbapi_connection
    assert request_checkouts.live() == []


def test_it_is_described_by_its_request_with_the_statement_and_no_value_of_it(
    engine: Engine, registry: CheckoutRegistry, request_checkouts: RequestCheckouts
) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT :secret"), {"secret": "a password"})
        description = registry.describe()
        assert registry.live()[0].statement == "SELECT ?"
    assert description.startswith("Held by: GET quiz for 0.0 s")
    assert "test_checkout_registry.py" in description
    assert "password" not in description


def test_outside_of_requests_it_is_described_by_its_thread(engine: Engine, registry: CheckoutRegistry) -> None:
    with engine.connect():
        assert threading.current_thread().name in registry.describe()
    assert registry.describe() == ""


def test_a_long_statement_is_clipped(engine: Engine, registry: CheckoutRegistry) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SELECT 1 /* {'x' * 2 * MAX_STATEMENT_LENGTH} */"))
        assert len(registry.live()[0].statement) == MAX_STATEMENT_LENGTH


def test_what_a_request_has_left_is_returned_and_told(
    engine: Engine, registry: CheckoutRegistry, request_checkouts: RequestCheckouts
) -> None:
    with engine.connect() as returned:
        returned.execute(ONE)
    left = engine.connect()
    left.execute(ONE)
    assert [checkout.registry for checkout in request_checkouts.release_all()] == [registry]
    assert queue_pool(engine).checkedout() == 0
    assert request_checkouts.release_all() == []


def test_a_connection_that_was_detached_is_out_no_longer(engine: Engine, registry: CheckoutRegistry) -> None:
    with engine.connect() as connection:
        connection.detach()
        assert registry.live() == []


def test_the_longest_are_named_first(engine: Engine, registry: CheckoutRegistry) -> None:
    connections = [engine.connect() for _ in range(3)]
    live = registry.live()
    assert [checkout.connection() for checkout in live] == [connection.connection for connection in connections]
    for connection in connections:
        connection.close()


def test_a_child_of_fork_has_nothing_out(engine: Engine, registry: CheckoutRegistry) -> None:
    with engine.connect():
        (checkout,) = registry.live()
        registry.reset_after_fork()
        assert checkout.is_returned
        assert registry.live() == []


def test_a_later_listener_that_asks_for_another_connection_leaves_no_second_holder(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    refused: list[object] = []

    @event.listens_for(engine, "checkout")
    def refuse_once(dbapi_connection: object, record: object, proxy: object) -> None:
        if not refused:
            refused.append(dbapi_connection)
            raise DisconnectionError

    with engine.connect() as connection:
        connection.execute(ONE)
        (checkout,) = registry.live()
        request = checkout.request
        assert request.live() == [checkout]
    assert (registry.live(), request.live()) == ([], [])
