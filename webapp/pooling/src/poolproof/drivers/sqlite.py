"""All that is known about SQLite, the embedded default."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.execution_options import AUTOCOMMIT, READ_ONLY

BUSY_TIMEOUT = 5.0
"""Seconds that a statement waits for the database to be unlocked."""


class TrackedSqliteConnection(sqlite3.Connection):
    """A connection that knows what it is doing, as `drivers.mysql.TrackedConnection` does."""

    statement_count = 0
    query_started_at: float | None = None
    last_reply_at = 0.0


def configure(engine: Engine) -> None:
    """Make every new connection ours: WAL, foreign keys, explicit transactions that take the lock at once."""
    _init_sessions(engine)
    _count_statements(engine)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        options = connection.get_execution_options()
        if options.get(AUTOCOMMIT, False):
            return
        reads = options.get(READ_ONLY, False)
        # Immediately, or two that have read would both wait for the other to let them write.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _init_sessions(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def use_our_class(dialect: Any, record: ConnectionPoolEntry, arguments: Any, named: dict[str, Any]) -> None:
        named["factory"] = TrackedSqliteConnection

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
        cursor.connection.statement_count += 1
        cursor.connection.query_started_at = time.monotonic()

    def end(cursor: Any) -> None:
        cursor.connection.query_started_at, cursor.connection.last_reply_at = None, time.monotonic()

    @event.listens_for(engine, "after_cursor_execute")
    def end_well(connection: Any, cursor: Any, *rest: Any) -> None:
        end(cursor)

    @event.listens_for(engine, "handle_error")
    def end_badly(context: ExceptionContext) -> None:
        cursor = context.execution_context and context.execution_context.cursor
        if cursor is not None:
            end(cursor)
