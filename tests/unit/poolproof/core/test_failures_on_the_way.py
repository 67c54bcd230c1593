"""What fails in the middle of a return, a close or a maintenance costs no slot and no connection.

Each was found by the model of test_pool_model, in more steps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.leaks.checkout_registry import track_checkouts
from poolproof.leaks.checkouts import RequestCheckouts, current_request


class ListenerError(Exception):
    """What a listener raises."""


def refuse(*arguments: object) -> None:
    raise ListenerError


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


class Counted(sqlite3.Connection):
    """A connection that is counted while it is open."""

    opened = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        Counted.opened += 1

    def close(self) -> None:
        Counted.opened -= 1
        super().close()


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False, factory=Counted)


@pytest.fixture
def make() -> Iterator[Callable[[int], FairQueuePool]]:
    Counted.opened = 0
    made: list[FairQueuePool] = []

    def make(size: int) -> FairQueuePool:
        made.append(FairQueuePool(connect, pool_size=size, timeout=0.2))
        return made[-1]

    yield make
    for pool in made:
        pool.dispose()


def with_idle(pool: FairQueuePool, count: int) -> FairQueuePool:
    for connection in [pool.connect() for _ in range(count)]:
        connection.close()
    return pool


@pytest.mark.parametrize("name", ["invalidate", "close"])
def test_a_listener_that_raises_while_a_broken_connection_is_returned_costs_no_slot(
    make: Callable[[int], FairQueuePool], name: str
) -> None:
    pool = make(1)
    connection = pool.connect()
    event.listen(pool, "reset", refuse, once=True)
    event.listen(pool, name, refuse, once=True)
    with suppress(ListenerError):
        connection.close()
    assert pool.checkedout() == 0
    del connection


@pytest.mark.parametrize("name", ["invalidate", "close"])
def test_a_listener_that_raises_while_a_refused_connection_is_replaced_costs_no_slot(
    make: Callable[[int], FairQueuePool], name: str
) -> None:
    pool = make(1)

    def report(*arguments: object) -> None:
        raise DisconnectionError

    event.listen(pool, "checkout", report, once=True)
    event.listen(pool, name, refuse, once=True)
    lent: list[object] = []
    try:
        lent.append(pool.connect())
    except ListenerError:
        # Looked at while the error is handled: it keeps alive what has been lent.
        assert pool.checkedout() == 0
    assert pool.checkedout() == len(lent)


def test_an_interruption_while_one_connection_is_closed_leaves_no_other_open(
    make: Callable[[int], FairQueuePool],
) -> None:
    pool = with_idle(make(2), 2)
    event.listen(pool, "close", interrupt, once=True)
    with pytest.raises(KeyboardInterrupt):
        pool.dispose()
    assert Counted.opened == 0


def test_an_interruption_while_one_connection_is_closed_makes_no_slot_up(make: Callable[[int], FairQueuePool]) -> None:
    pool = with_idle(make(2), 2)
    event.listen(pool, "close", interrupt, once=True)
    with pytest.raises(KeyboardInterrupt):
        pool.dispose()
    assert (pool.checkedout(), pool.checkedin()) == (0, 0)


def test_an_interruption_while_the_housekeeper_closes_a_connection_costs_no_slot(
    make: Callable[[int], FairQueuePool],
) -> None:
    pool = with_idle(make(1), 1)
    event.listen(pool, "close", interrupt, once=True)

    def close_one() -> None:
        with pool.borrow_idle(lambda record, idle: "close") as loan:
            assert loan is not None
            loan.close_reason = "idle"

    with pytest.raises(KeyboardInterrupt):
        close_one()
    assert pool.checkedout() == 0


def test_a_pool_without_a_limit_has_the_old_overflow_once_it_has_a_size_again(
    make: Callable[[int], FairQueuePool],
) -> None:
    pool = make(1)
    pool.resize(0)
    successor = pool.recreate()
    pool.resize(2)
    successor.resize(2)
    assert (pool.limit(), successor.limit()) == (2, 2)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}", poolclass=FairQueuePool, pool_size=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("name", ["checkin", "detach"])
def test_a_listener_that_raises_at_the_end_of_a_checkout_leaves_no_phantom_of_it(engine: Engine, name: str) -> None:
    event.listen(engine, name, refuse, once=True)
    registry, request = track_checkouts(engine, "test"), RequestCheckouts()
    token = current_request.set(request)
    try:
        connection: Any = engine.pool.connect()
        with pytest.raises(ListenerError):
            connection.detach() if name == "detach" else connection.close()
    finally:
        current_request.reset(token)
    assert (registry.live(), request.live()) == ([], [])


def test_a_later_listener_that_refuses_a_connection_leaves_no_phantom_of_it(engine: Engine) -> None:
    registry, request = track_checkouts(engine, "test"), RequestCheckouts()

    def report(*arguments: object) -> None:
        raise DisconnectionError

    event.listen(engine, "checkout", report, once=True)
    token = current_request.set(request)
    try:
        engine.pool.connect().close()
    finally:
        current_request.reset(token)
    assert (registry.live(), request.live()) == ([], [])


def test_a_ping_that_is_interrupted_costs_no_slot(make: Callable[[int], FairQueuePool]) -> None:
    pool = with_idle(make(1), 1)

    def interrupt(*arguments: object) -> bool:
        raise KeyboardInterrupt

    pool.is_alive = interrupt
    with pytest.raises(KeyboardInterrupt):
        pool.connect()
    pool.is_alive = None
    assert (pool.checkedout(), Counted.opened) == (0, 0)
    pool.connect().close()
    assert Counted.opened == 1


def test_a_connection_that_is_found_dead_is_replaced_with_the_event_of_it(make: Callable[[int], FairQueuePool]) -> None:
    pool = with_idle(make(1), 1)
    lost: list[object] = []
    event.listen(pool, "invalidate", lambda *arguments: lost.append(arguments))
    pool.is_alive = lambda *arguments: False
    pool.connect().close()
    assert (len(lost), Counted.opened, pool.checkedout()) == (1, 1, 0)
