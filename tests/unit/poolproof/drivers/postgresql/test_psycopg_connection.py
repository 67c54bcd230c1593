"""What is particular to psycopg 3."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, text

from poolproof.drivers.postgresql.psycopg_connection import PsycopgConnection, connect
from tests.support.postgresql import engine_on, new_database
from webapp.lab.services.postgresql_server import PostgresqlServer


@pytest.fixture
def url(postgresql: PostgresqlServer) -> URL:
    return new_database(postgresql, "psycopg")


def test_it_is_psycopgs_own_connection_and_what_asks_for_one_gets_it(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        dbapi_connection = connection.connection.driver_connection
        assert isinstance(dbapi_connection, PsycopgConnection)
        assert isinstance(dbapi_connection, psycopg.Connection)
        assert psycopg.types.TypeInfo.fetch(dbapi_connection, "int4") is not None


def test_a_cursor_class_of_the_applications_is_kept(url: URL) -> None:
    given = url.translate_connect_args(username="user", database="dbname")
    with connect(**given, cursor_factory=psycopg.ClientCursor) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s", ("a",))
        assert isinstance(cursor, psycopg.ClientCursor)
        assert connection.statement_count == 1


def test_copy_and_many_rows_are_bounded_and_counted(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE note (number INTEGER)"))
        dbapi_connection: Any = connection.connection.dbapi_connection
        with dbapi_connection.cursor() as cursor, cursor.copy("COPY note FROM STDIN") as copy:
            copy.write("1\n2\n")
        with dbapi_connection.cursor() as cursor:
            cursor.executemany("INSERT INTO note VALUES (%s)", [(3,), (4,)])
        assert connection.execute(text("SELECT sum(number) FROM note")).scalar_one() == 10
        assert dbapi_connection.reply_due_at is None
        assert dbapi_connection.query_started_at is None


def test_what_the_transaction_is_to_be_stands_in_its_begin(url: URL) -> None:
    with engine_on(url) as engine, engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        assert dbapi_connection.begin_statement() == "BEGIN"
        dbapi_connection.read_only, dbapi_connection.deferrable = True, True
        dbapi_connection.use_isolation_level("SERIALIZABLE")
        assert dbapi_connection.begin_statement() == "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"
        dbapi_connection.read_only = dbapi_connection.deferrable = None
        dbapi_connection.restore_isolation_level()
