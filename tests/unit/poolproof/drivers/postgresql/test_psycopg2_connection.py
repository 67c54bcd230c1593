"""What is particular to psycopg2."""

from __future__ import annotations

import io
from typing import Any

import psycopg2.extensions
import psycopg2.extras
import pytest
from sqlalchemy import URL, text

from poolproof.drivers.postgresql.psycopg2_connection import Psycopg2Connection
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.postgresql import engine_on, new_database
from webapp.lab.services.postgresql_server import PostgresqlServer


@pytest.fixture
def url(postgresql: PostgresqlServer) -> URL:
    return new_database(postgresql, "psycopg2")


def test_it_is_psycopg2s_own_connection(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        dbapi_connection = connection.connection.driver_connection
        assert isinstance(dbapi_connection, Psycopg2Connection)
        assert isinstance(dbapi_connection, psycopg2.extensions.connection)


def test_a_transaction_of_ours_is_committed_and_rolled_back_in_autocommit_mode(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        connection.execute(text("CREATE TABLE note (number INTEGER)"))
        assert connection.connection.dbapi_connection.autocommit  # type: ignore[union-attr]
        connection.commit()
        connection.execute(text("INSERT INTO note VALUES (1)"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM note")).scalar_one() == 0


def test_a_ping_leaves_no_transaction_and_a_read_goes_on_when_its_connection_is_ended(
    url: URL, postgresql: PostgresqlServer
) -> None:
    with engine_on(url) as engine, UnitOfWork(engine).read() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        assert dbapi_connection.responds_within(5, 5)
        assert dbapi_connection.transaction_status() == 0
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (dbapi_connection.thread_id(),))
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        assert not dbapi_connection.responds_within(5, 5)


def test_cursors_of_other_classes_and_copies_are_counted_as_well(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        count = dbapi_connection.statement_count
        with dbapi_connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
            cursor.execute("CREATE TEMPORARY TABLE note (number INTEGER)")
            cursor.copy_expert("COPY note FROM STDIN", io.StringIO("1\n2\n"))
            cursor.execute("SELECT sum(number) AS total FROM note")
            assert cursor.fetchone()["total"] == 3
        assert dbapi_connection.statement_count == count + 3
        assert dbapi_connection.reply_due_at is None
