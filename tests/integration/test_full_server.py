"""A server whose connections other clients have taken: which requests are refused, which served, and what follows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pymysql
import pytest
from pymysql.constants import ER
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from poolproof.drivers import errors
from tests.integration.test_connection_age import SIZE, identities, identity, new_engine
from tests.support.waiting import wait_until, wait_until_returned
from webapp.lab.services.database_server import DatabaseServer

SOON = 2.0
"""Seconds in which a refusal must have come; the pool's own time-out is 5."""


@pytest.fixture
def engine(server: DatabaseServer) -> Iterator[Engine]:
    """An engine of an account like the application's: it has no connection in reserve, as root has."""
    server.execute("CREATE USER IF NOT EXISTS ordinary@'%' IDENTIFIED BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO ordinary@'%'")
    engine = new_engine(server.url("poolproof", "ordinary", "a%20secret"))
    yield engine
    wait_until_returned(engine.pool)
    engine.dispose()


def connect_as_other(server: DatabaseServer) -> pymysql.Connection[Any]:
    return pymysql.connect(
        host="127.0.0.1", port=server.port, user="ordinary", password="a secret", ssl_disabled=True, connect_timeout=5
    )


@contextmanager
def full(server: DatabaseServer, open_in_pool: int) -> Iterator[None]:
    """Another client holds all connections but those that the pool has open."""
    others: list[pymysql.Connection[Any]] = []
    try:
        # The server lets go of a connection a moment after its client: those that fit must all come to fit.
        deadline = time.monotonic() + 10
        wanted = allowed(server) - open_in_pool
        while len(others) < wanted:
            try:
                others.append(connect_as_other(server))
            except pymysql.err.OperationalError as error:
                assert error.args[0] == ER.CON_COUNT_ERROR  # noqa: PT017 - any other is a failure
                assert time.monotonic() < deadline, f"{len(others)} and the pool's {open_in_pool} are not all"
        with pytest.raises(pymysql.err.OperationalError) as refusal:
            connect_as_other(server)
        assert refusal.value.args[0] == ER.CON_COUNT_ERROR
        yield
    finally:
        leave(server, others)


def leave(server: DatabaseServer, others: list[pymysql.Connection[Any]]) -> None:
    """Close them, and wait until the server has let go of each."""
    numbers = {connection.thread_id() for connection in others}  # type: ignore[no-untyped-call]
    for connection in others:
        connection.close()
    listing = "SELECT id FROM information_schema.processlist"
    wait_until(lambda: not numbers & {number for (number,) in as_root(server, listing)})


def open_exactly(engine: Engine, count: int) -> set[int]:
    held = [engine.connect() for _ in range(count)]
    numbers = {identity(connection) for connection in held}
    for connection in held:
        connection.close()
    return numbers


def connects(engine: Engine) -> list[object]:
    begun: list[object] = []
    event.listen(engine, "do_connect", lambda *_: begun.append(1), insert=True)
    return begun


def refuse(engine: Engine) -> OperationalError:
    started_at = time.monotonic()
    with pytest.raises(OperationalError) as refusal:
        engine.connect()
    assert time.monotonic() - started_at < SOON
    return refusal.value


def test_a_borrower_for_whom_the_server_has_no_connection_is_told_so_soon(
    server: DatabaseServer, engine: Engine
) -> None:
    open_exactly(engine, 1)
    with full(server, open_in_pool=1), engine.connect() as connection:
        for _ in range(5):
            error = refuse(engine)
            assert errors.is_too_many_connections(error)
            # It is full, not gone: a later attempt may succeed, the others keep what they have.
            assert not errors.is_unavailable(error)
        assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        assert identity(connection)
    assert len(identities(engine)) == SIZE


def test_connections_that_are_open_go_on_serving_and_those_who_wait_for_them_are_served(
    server: DatabaseServer, engine: Engine
) -> None:
    ours = identities(engine)
    with full(server, open_in_pool=SIZE):
        begun = connects(engine)
        held = [engine.connect() for _ in range(SIZE)]
        with ThreadPoolExecutor(8) as workers:

            def use(_: int) -> int:
                with engine.connect() as connection:
                    return identity(connection)

            waiting = [workers.submit(use, number) for number in range(8)]
            wait_until(lambda: engine.pool.waiting() == 8)  # type: ignore[attr-defined]
            for connection in held:
                connection.close()
            assert {future.result(10) for future in waiting} <= ours
            assert set(workers.map(use, range(200))) <= ours
        assert begun == []
    assert identities(engine) == ours


def test_when_not_all_can_be_opened_each_borrower_gets_an_open_one_or_the_servers_reason(
    server: DatabaseServer, engine: Engine
) -> None:
    open_exactly(engine, SIZE - 1)
    ends: list[str] = []
    longest: list[float] = []

    def use(_: int) -> None:
        started_at = time.monotonic()
        try:
            with engine.connect() as connection:
                identity(connection)
        except OperationalError as error:
            ends.append("full" if errors.is_too_many_connections(error) else repr(error))
        else:
            ends.append("served")
        longest.append(time.monotonic() - started_at)

    with full(server, open_in_pool=SIZE - 1), ThreadPoolExecutor(8) as workers:
        list(workers.map(use, range(400)))
        assert engine.pool.checkedin() == SIZE - 1  # type: ignore[attr-defined]
    counted = Counter(ends)
    # No thread waited in vain for the slot that cannot be filled, and none fails for any other reason.
    assert counted.keys() == {"full", "served"}
    assert max(longest) < SOON
    assert len(identities(engine)) == SIZE


def test_a_place_lost_to_others_is_refused_to_each_who_gets_it_and_fills_again_when_they_leave(
    server: DatabaseServer, engine: Engine
) -> None:
    ours = identities(engine)
    with full(server, open_in_pool=SIZE):
        as_root(server, f"KILL {min(ours)}")
        # Another client was faster: root's own connection was closed again, and the killed one's place is taken.
        wait_until(lambda: server_counts(server, "ordinary") == allowed(server) - 1)
        thief = steal(server)
        time.sleep(0.2)
        held = []
        refused = 0
        for _ in range(2 * SIZE):
            try:
                held.append(engine.connect())
            except OperationalError as error:
                refused += errors.is_too_many_connections(error)
        assert {identity(connection) for connection in held} == ours - {min(ours)}
        assert refused == 2 * SIZE - (SIZE - 1)
        thief.close()

        def can_borrow() -> bool:
            with suppress(OperationalError):
                held.append(engine.connect())
            return len(held) == SIZE

        wait_until(can_borrow)
        for connection in held:
            connection.close()
    assert len(identities(engine)) == SIZE


def as_root(server: DatabaseServer, statement: str) -> list[tuple[Any, ...]]:
    """Execute on the one connection more that root may have, as soon as the last one to have it has left."""
    answers: list[list[tuple[Any, ...]]] = []

    def ask() -> bool:
        try:
            answers.append(server.execute(statement))
        except pymysql.err.OperationalError as error:
            if error.args[0] != ER.CON_COUNT_ERROR:
                raise
        return bool(answers)

    wait_until(ask)
    return answers[0]


def allowed(server: DatabaseServer) -> int:
    return int(as_root(server, "SELECT @@max_connections")[0][0])


def server_counts(server: DatabaseServer, user: str) -> int:
    ((count,),) = as_root(server, f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{user}'")
    return int(count)


def steal(server: DatabaseServer) -> pymysql.Connection[Any]:
    stolen: list[pymysql.Connection[Any]] = []

    def try_to() -> bool:
        with suppress(pymysql.err.OperationalError):
            stolen.append(connect_as_other(server))
        return bool(stolen)

    wait_until(try_to)
    return stolen[0]


def test_when_the_others_leave_under_load_everything_serves_again_without_a_restart(
    server: DatabaseServer, engine: Engine
) -> None:
    open_exactly(engine, 1)
    done = threading.Event()
    ends: list[tuple[float, str]] = []

    def use_for_ever() -> None:
        while not done.is_set():
            try:
                with engine.connect() as connection:
                    identity(connection)
                ends.append((time.monotonic(), "served"))
            except OperationalError as error:
                ends.append((time.monotonic(), "full" if errors.is_too_many_connections(error) else repr(error)))
                time.sleep(0.01)

    with ThreadPoolExecutor(6) as workers:
        running = [workers.submit(use_for_ever) for _ in range(6)]
        try:
            # The pool may take what it can while the others come: any share of its places.
            with crowd(server):
                time.sleep(0.5)
            left_at = time.monotonic()
            time.sleep(1)
        finally:
            done.set()
        for future in running:
            future.result(10)
    assert {end for _, end in ends} <= {"served", "full"}
    afterwards = Counter(end for at, end in ends if at > left_at)
    assert afterwards["served"] > 20
    # Each of the six may have been refused a moment before, and noted it a moment after.
    assert afterwards["full"] <= 6
    assert len(identities(engine)) == SIZE


@contextmanager
def crowd(server: DatabaseServer) -> Iterator[None]:
    """Another client takes all that the server has left, while others connect as well."""
    others: list[pymysql.Connection[Any]] = []
    try:
        with suppress(pymysql.err.OperationalError):
            while True:
                others.append(connect_as_other(server))
        yield
    finally:
        leave(server, others)
