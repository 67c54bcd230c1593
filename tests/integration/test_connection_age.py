"""Connections that die in the pool: killed, frozen, mute, read-only."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pymysql
import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from poolproof.drivers import errors
from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from tests.support.waiting import wait_until_returned
from webapp.lab.services.database_server import DatabaseServer

SIZE = 3


def new_engine(url: str, **values: Any) -> Engine:
    options: dict[str, Any] = {"ping_idle_after": 0.1, "timeout": 5, **values}
    settings = PoolSettings(**options)
    engine = create_engine(url, **engine_options(settings, make_url(url), threads=SIZE))
    configure_engine(engine, settings)
    return engine


@pytest.fixture
def engine(server: DatabaseServer) -> Iterator[Engine]:
    engine = new_engine(server.url("poolproof"))
    yield engine
    wait_until_returned(engine.pool)
    engine.dispose()


def identity(connection: Connection) -> int:
    return int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())


def identities(engine: Engine) -> set[int]:
    """Use all connections of the pool at once, and give them back."""
    held = [engine.connect() for _ in range(SIZE)]
    try:
        return {identity(connection) for connection in held}
    finally:
        for connection in held:
            connection.close()


def test_one_killed_connection_is_replaced_and_the_others_are_kept(server: DatabaseServer, engine: Engine) -> None:
    before = identities(engine)
    server.execute(f"KILL {min(before)}")
    time.sleep(0.2)
    after = identities(engine)
    assert len(before & after) == SIZE - 1
    assert min(before) not in after


def test_when_all_are_killed_no_request_notices(server: DatabaseServer, engine: Engine) -> None:
    before = identities(engine)
    for number in before:
        server.execute(f"KILL {number}")
    time.sleep(0.2)
    assert not before & identities(engine)


def test_a_restart_between_two_requests_is_not_noticed(server: DatabaseServer, engine: Engine) -> None:
    identities(engine)
    server.restart("--max-connections=24")
    assert len(identities(engine)) == SIZE


def test_a_connection_killed_in_mid_use_costs_that_request_and_leaves_the_others(
    server: DatabaseServer, engine: Engine
) -> None:
    before = identities(engine)
    with engine.connect() as connection:
        victim = identity(connection)
        server.execute(f"KILL {victim}")
        with pytest.raises(OperationalError) as lost:
            connection.execute(text("SELECT 1"))
    assert lost.value.connection_invalidated
    assert errors.is_unavailable(lost.value)
    assert victim not in identities(engine)
    assert victim in before


def test_a_connection_used_a_moment_ago_is_not_pinged(server: DatabaseServer) -> None:
    engine = new_engine(server.url("poolproof"), ping_idle_after=60)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    def pings() -> int:
        (row,) = server.execute("SHOW GLOBAL STATUS LIKE 'Com_admin_commands'")
        return int(row[1])

    before = pings()
    for _ in range(5):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    unpinged = pings() - before
    engine.dispose()
    assert unpinged == 0


def test_a_frozen_server_is_given_up_soon(server: DatabaseServer, engine: Engine) -> None:
    identities(engine)
    time.sleep(0.2)
    server.pause()
    try:
        started_at = time.monotonic()
        with pytest.raises(OperationalError) as refusal:
            engine.connect()
        took = time.monotonic() - started_at
    finally:
        server.resume()
    assert errors.is_unavailable(refusal.value)
    # Half a second for the ping, and one for the new connection.
    assert took < 3
    assert len(identities(engine)) == SIZE


def test_a_peer_that_accepts_and_stays_mute_costs_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        engine = new_engine(f"mysql+pymysql://root@127.0.0.1:{mute.getsockname()[1]}/nothing")
        started_at = time.monotonic()
        with pytest.raises(OperationalError) as refusal:
            engine.connect()
        took = time.monotonic() - started_at
    engine.dispose()
    assert errors.is_unavailable(refusal.value)
    assert took < 2


def test_a_statement_may_take_longer_than_the_handshake(server: DatabaseServer, engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SELECT SLEEP(1.5)")).scalar_one() == 0


def test_a_server_that_turns_read_only_is_left_and_found_again(server: DatabaseServer) -> None:
    server.execute("CREATE USER IF NOT EXISTS writer@'%' IDENTIFIED BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO writer@'%'")
    server.execute("CREATE TABLE IF NOT EXISTS notes (note INT)", database="poolproof")
    engine = new_engine(server.url("poolproof", "writer", "a%20secret"))
    before = identities(engine)
    server.execute("SET GLOBAL read_only = ON")
    try:
        with pytest.raises(DBAPIError) as refusal, engine.begin() as connection:
            connection.execute(text("INSERT INTO notes VALUES (1)"))
    finally:
        server.execute("SET GLOBAL read_only = OFF")
    assert errors.is_unavailable(refusal.value)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes VALUES (2)"))
    after = identities(engine)
    engine.dispose()
    # Behind the address there may be another server by now: none of the old connections is used again.
    assert not before & after


def test_storms_of_kills_cost_at_most_the_request_that_was_hit(server: DatabaseServer, engine: Engine) -> None:
    done = threading.Event()
    kills = 0

    def kill_at_random() -> None:
        nonlocal kills
        chosen = "SELECT id FROM information_schema.processlist WHERE db = 'poolproof' LIMIT 1"
        while not done.is_set():
            # Whom it names may have gone by itself; then MySQL has been seen to end the killer's next connection.
            with suppress(pymysql.err.MySQLError):
                for (number,) in server.execute(chosen):
                    # Counted first: it may take effect although its answer is lost.
                    kills += 1
                    server.execute(f"KILL {number}")
            time.sleep(0.02)

    # SQLAlchemy's own questions at an engine's very first connect, cut off, end in an error that is no DBAPIError.
    identities(engine)
    killer = threading.Thread(target=kill_at_random)
    killer.start()
    failed = served = others = 0
    end = time.monotonic() + 60
    try:
        while kills < 40 and time.monotonic() < end:
            try:
                with engine.connect() as connection:
                    identity(connection)
                served += 1
            except DBAPIError as error:
                failed += errors.is_unavailable(error)
                others += not errors.is_unavailable(error)
    finally:
        done.set()
        killer.join()
    assert kills > 10
    assert others == 0
    assert failed <= kills
    assert served > failed
