"""All that is known about SQLite, the embedded default."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.pooling.liveness import AT_ONCE, READS

BUSY_TIMEOUT = 5.0
"""Seconds that a statement waits for the database to be unlocked."""


class CountingConnection(sqlite3.Connection):
    """A connection that knows what it is doing, as `driver.FrugalConnection` does."""

    asked = 0
    busy_since: float | None = None
    answered_at = 0.0


def prepare(engine: Engine) -> None:
    """Make every new connection ours: WAL, foreign keys, explicit transactions that take the lock at once."""
    _open_sessions(engine)
    _count_statements(engine)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        options = connection.get_execution_options()
        if options.get(AT_ONCE, False):
            return
        reads = options.get(READS, False)
        # Immediately, or two that have read would both wait for the other to let them write.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _open_sessions(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def use_our_class(dialect: Any, record: ConnectionPoolEntry, arguments: Any, named: dict[str, Any]) -> None:
        named["factory"] = CountingConnection

    @event.listens_for(engine, "connect")
    def begin_session(dbapi_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        # Our own BEGIN below; sqlite3 would start transactions late and upgrade them, which fails when busy.
        dbapi_connection.isolation_level = None
        # SQLite has it since 3.41; MySQL always had.
        dbapi_connection.create_function("unhex", 1, bytes.fromhex, deterministic=True)
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()


def _count_statements(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Any, cursor: Any, *rest: Any) -> None:
        cursor.connection.asked += 1
        cursor.connection.busy_since = time.monotonic()

    def end(cursor: Any) -> None:
        cursor.connection.busy_since, cursor.connection.answered_at = None, time.monotonic()

    @event.listens_for(engine, "after_cursor_execute")
    def end_well(connection: Any, cursor: Any, *rest: Any) -> None:
        end(cursor)

    @event.listens_for(engine, "handle_error")
    def end_badly(context: ExceptionContext) -> None:
        cursor = context.execution_context and context.execution_context.cursor
        if cursor is not None:
            end(cursor)
