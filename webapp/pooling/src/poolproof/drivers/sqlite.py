"""What is specific to SQLite, the embedded default."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.drivers import session
from poolproof.execution_options import READ_ONLY

BUSY_TIMEOUT = 5.0
"""Seconds that a statement waits for the database to be unlocked."""

SERIALIZABLE = "SERIALIZABLE"
"""SQLite's only level, but for reading what another connection of the same cache has not committed."""


class TrackedSqliteConnection(sqlite3.Connection):
    """A connection that tracks what it is doing, as `drivers.mysql.connection.TrackedConnection` does."""

    statement_count = 0
    query_started_at: float | None = None
    last_reply_at = 0.0
    is_initialized = False
    """Whether `configure`'s listener has set up the session."""
    _level = _default_level = SERIALIZABLE

    @property
    def is_autocommit(self) -> bool:
        """Whether the caller wants no transactions: every statement commits by itself."""
        return self._level == "AUTOCOMMIT"

    def use_isolation_level(self, level: str) -> None:
        """Use a transaction isolation level: for good before the session is set up, afterwards until it is restored."""
        self.execute(f"PRAGMA read_uncommitted = {int(level == 'READ UNCOMMITTED')}")
        self._level = level
        if not self.is_initialized:
            self._default_level = level

    def restore_isolation_level(self) -> None:
        """Use again the level that the connection began with."""
        self.use_isolation_level(self._default_level)

    def is_reusable(self) -> bool:
        """Say whether another caller may have the connection: open, without a transaction, its levels as they were."""
        try:
            return self.isolation_level is None and not self.in_transaction and self._level == self._default_level
        except sqlite3.ProgrammingError:
            # It is closed.
            return False


def configure(engine: Engine) -> None:
    """Set up every new connection: WAL, foreign keys, explicit transactions that take the write lock at once."""
    _init_sessions(engine)
    session.protect_sessions(engine)
    _count_statements(engine)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        if not session.needs_transaction(connection):
            return
        is_read_only = connection.get_execution_options().get(READ_ONLY, False)
        # Immediately: two transactions that have read would each wait for the other one before they write.
        connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")


def _init_sessions(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def use_tracked_class(dialect: Any, record: ConnectionPoolEntry, arguments: Any, named: dict[str, Any]) -> None:
        named["factory"] = TrackedSqliteConnection

    @event.listens_for(engine, "connect")
    def init_session(dbapi_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        # BEGIN is sent by `begin_transaction`; sqlite3 would start transactions late and upgrade them, which can fail.
        dbapi_connection.isolation_level = None
        # Built into SQLite since 3.41, and into every MySQL.
        dbapi_connection.create_function("unhex", 1, bytes.fromhex, deterministic=True)
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        dbapi_connection.is_initialized = True


def _count_statements(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def record_start(connection: Any, cursor: Any, *rest: Any) -> None:
        cursor.connection.statement_count += 1
        cursor.connection.query_started_at = time.monotonic()

    def record_end(cursor: Any) -> None:
        cursor.connection.query_started_at, cursor.connection.last_reply_at = None, time.monotonic()

    @event.listens_for(engine, "after_cursor_execute")
    def record_success(connection: Any, cursor: Any, *rest: Any) -> None:
        record_end(cursor)

    @event.listens_for(engine, "handle_error")
    def record_failure(context: ExceptionContext) -> None:
        cursor = context.execution_context and context.execution_context.cursor
        if cursor is not None:
            record_end(cursor)
