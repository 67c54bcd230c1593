"""An engine on SQLite: its sessions, its transactions, and what a connection knows of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from poolproof.drivers import sqlite
from poolproof.execution_options import AUTOCOMMIT, READ_ONLY


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}", connect_args={"timeout": 0.05})
    sqlite.configure(engine)
    yield engine
    engine.dispose()


def raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def test_a_session_has_foreign_keys_a_write_ahead_log_and_unhex(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("SELECT unhex('414c')")).scalar_one() == b"AL"


def test_a_transaction_has_the_write_lock_from_its_first_statement(engine: Engine) -> None:
    with engine.connect() as writer, engine.connect() as other:
        writer.execute(text("SELECT 1"))
        with pytest.raises(OperationalError, match="locked"):
            other.execute(text("SELECT 1"))


def test_a_transaction_that_only_reads_locks_nobody_out(engine: Engine) -> None:
    with engine.connect() as reader, engine.connect() as writer:
        reader.execution_options(**{READ_ONLY: True})
        reader.execute(text("SELECT 1"))
        writer.execute(text("CREATE TABLE made (a INT)"))
        assert raw(writer).in_transaction


def test_in_autocommit_no_transaction_begins(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execution_options(**{AUTOCOMMIT: True})
        connection.execute(text("SELECT 1"))
        assert not raw(connection).in_transaction


def test_a_connection_counts_its_statements_and_knows_when_none_runs(engine: Engine) -> None:
    with engine.connect() as connection:
        before = raw(connection).statement_count
        connection.execute(text("SELECT 1"))
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT missing"))
        assert raw(connection).statement_count == before + 3, "BEGIN, and the two"
        assert raw(connection).query_started_at is None
        assert raw(connection).last_reply_at > 0
