"""Whatever a server's defaults for new sessions are, a session of ours does what the code says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, select, text

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.integration.test_connection_age import new_engine
from tests.support.waiting import wait_until_returned
from webapp.attempts.json_rowset import encode_rows, rowset, text_column
from webapp.lab.services.database_server import DatabaseServer

DEFAULTS = {
    "autocommit": "0",
    "completion_type": "'CHAIN'",
    "sql_mode": "'ANSI,NO_BACKSLASH_ESCAPES'",
    "sql_safe_updates": "1",
    "sql_select_limit": "1",
    "transaction_read_only": "1",
}
NAMES = {"mariadb": {"transaction_read_only": "tx_read_only"}}
"""What a product calls a variable of another name."""
NOTES = ["plain", "back\\slash", "both \\' and \""]


@pytest.fixture(params=DEFAULTS)
def unusual(request: pytest.FixtureRequest, server: DatabaseServer) -> Iterator[DatabaseServer]:
    """The server, on which one thing of a new session is not as with most people."""
    server.execute("CREATE TABLE note (`key` INT PRIMARY KEY, text VARCHAR(100))", database="poolproof")
    name = NAMES.get(server.flavour, {}).get(request.param, request.param)
    server.execute(f"SET GLOBAL {name} = {DEFAULTS[request.param]}")
    yield server
    server.execute(f"SET GLOBAL {name} = DEFAULT")
    server.execute("DROP TABLE note", database="poolproof")


@pytest.fixture
def engine(unusual: DatabaseServer) -> Iterator[Engine]:
    engine = new_engine(unusual.url("poolproof"))
    yield engine
    wait_until_returned(engine.pool)
    engine.dispose()


def stored(server: DatabaseServer) -> list[str]:
    """Read what others see, on a session that is set up by hand."""
    with closing(server.connect("poolproof")) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_select_limit = 1000, SESSION sql_mode = ''")
        cursor.execute("SELECT text FROM note ORDER BY text")
        return [text for (text,) in cursor.fetchall()]


def test_what_was_acknowledged_is_stored_whatever_the_servers_defaults(unusual: DatabaseServer, engine: Engine) -> None:
    work = UnitOfWork(engine)
    table = engine.dialect.identifier_preparer.quote("note")
    insert = text(f"INSERT INTO {table} VALUES (:key, :text)")
    for key, value in enumerate(NOTES):
        with work.autocommit() as connection:
            connection.execute(insert, {"key": key, "text": value})
            # Before the connection is returned: others see it at once.
            assert value in stored(unusual)
    with work.transaction() as connection:
        connection.execute(text("UPDATE note SET text = CONCAT(text, '!')"))
    with work.autocommit() as connection:
        connection.execute(insert, {"key": 9, "text": "last"})
        assert stored(unusual) == sorted([*(f"{value}!" for value in NOTES), "last"])
    with work.read() as connection:
        assert len(connection.execute(text("SELECT * FROM note")).all()) == len(NOTES) + 1


def test_the_text_of_a_batch_survives_a_schema_in_another_character_set(server: DatabaseServer) -> None:
    server.execute("CREATE DATABASE western CHARACTER SET latin1")
    engine = new_engine(server.url("western"))
    table = rowset(engine.dialect.name, "sent", [text_column("name", 40)])
    with UnitOfWork(engine).read() as connection:
        assert connection.execute(select(table), encode_rows([["ß한🦆"]])).scalars().all() == ["ß한🦆"]
    wait_until_returned(engine.pool)
    engine.dispose()
