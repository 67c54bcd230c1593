"""What is known of a connection without asking the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import URL, Engine, event, text

from tests.support.postgresql import engine_on
from webapp.lab.services.postgresql_server import PostgresqlServer

PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def engine(postgresql_url: URL) -> Iterator[Engine]:
    with engine_on(postgresql_url, size=1) as engine:
        yield engine


def is_lent_again(engine: Engine, *statements: str) -> bool:
    """Say whether the next checkout gets the connection on which these statements were executed."""
    with engine.connect() as connection:
        before = connection.execute(PID).scalar_one()
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()
    with engine.connect() as connection:
        return bool(connection.execute(PID).scalar_one() == before)


@pytest.mark.parametrize(
    "statement",
    [
        "SET TIME ZONE 'Asia/Tokyo'",
        "SET statement_timeout = 1000",
        "set search_path = pg_catalog",
        "RESET statement_timeout",
        "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
        "SELECT set_config('application_name', 'other', false)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "PREPARE mine AS SELECT 1",
        "LISTEN mine",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ],
)
def test_a_connection_whose_session_was_changed_is_closed(engine: Engine, statement: str) -> None:
    assert not is_lent_again(engine, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SET LOCAL statement_timeout = 1000",
        "  set   local search_path = pg_catalog",
        "SET TRANSACTION READ ONLY",
        "SELECT set_config('TimeZone', 'Asia/Tokyo', true)",
        "DO $$ BEGIN END $$",
    ],
)
def test_what_ends_with_the_transaction_costs_no_connection(engine: Engine, statement: str) -> None:
    assert is_lent_again(engine, statement)


def test_what_listeners_of_connect_set_belongs_to_the_session(postgresql_url: URL) -> None:
    with engine_on(postgresql_url, size=1) as engine:

        @event.listens_for(engine, "connect")
        def name(dbapi_connection: Any, record: Any) -> None:
            with dbapi_connection.cursor() as cursor:
                cursor.execute("SET application_name = 'mine'")

        assert is_lent_again(engine, "SELECT 1")
        with engine.connect() as connection:
            assert connection.execute(text("SHOW application_name")).scalar_one() == "mine"


def test_a_transaction_that_failed_is_no_reason_to_close(engine: Engine) -> None:
    with engine.connect() as connection:
        before = connection.execute(PID).scalar_one()
        with pytest.raises(Exception, match="division"):
            connection.execute(text("SELECT 1 / 0"))
    with engine.connect() as connection:
        assert connection.execute(PID).scalar_one() == before


def test_a_ping_leaves_no_transaction_whatever_the_mode(engine: Engine, postgresql: PostgresqlServer) -> None:
    with engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        for autocommit in (True, False):
            dbapi_connection.autocommit = autocommit
            count = dbapi_connection.statement_count
            assert dbapi_connection.responds_within(5, 5)
            assert dbapi_connection.autocommit is autocommit
            assert dbapi_connection.transaction_status() == 0
            assert dbapi_connection.statement_count == count
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (dbapi_connection.thread_id(),))
        assert not dbapi_connection.responds_within(5, 5)
        assert not dbapi_connection.is_reusable()
        connection.invalidate()
