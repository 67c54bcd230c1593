"""psycopg2's connection as the pool needs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import psycopg2
import psycopg2.extensions

from poolproof.drivers.postgresql.reply_timeouts import reply_timeouts
from poolproof.drivers.postgresql.tracked_session import NO_TRANSACTION, TrackedCursor, TrackedSession

DriverError = psycopg2.Error


class Psycopg2Connection(TrackedSession, psycopg2.extensions.connection):
    """A connection that commits a transaction which began with BEGIN: in autocommit mode psycopg2 knows of none."""

    ping_statement = "SELECT 1"
    """psycopg2 takes the reply to an empty statement for an error."""

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        self._end_transaction("COMMIT", super().commit)

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        self._end_transaction("ROLLBACK", super().rollback)

    def cursor(
        self, name: str | None = None, cursor_factory: Any = None, *, withhold: bool = False, **kwargs: Any
    ) -> Any:
        """Return a cursor that is tracked, whatever its class; see psycopg's for named ones."""
        factory = cursor_factory or self.cursor_factory or psycopg2.extensions.cursor
        is_alone = name is not None and self.autocommit and self.transaction_status() == NO_TRANSACTION
        return super().cursor(name, cursor_factory=_tracked(factory), withhold=withhold or is_alone, **kwargs)

    def _end_transaction(self, statement: str, ordinary: Callable[[], None]) -> None:
        if not self.closed and self.transaction_status() == NO_TRANSACTION and self.autocommit:
            return
        if self.autocommit and not self.closed:
            self.run_statement(statement)
            return
        self.statement_count += 1
        wait_bounded(self, ordinary)

    def _wants_read_only(self) -> bool:
        return bool(self.readonly)


class Psycopg2Cursor(TrackedCursor):
    """Mixed into a cursor of psycopg2's: each of its methods that waits for the server is bounded."""

    def fetchone(self) -> Any:
        """Return the next row; that of a named cursor is on the server."""
        return self._within(super().fetchone)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Return the next rows."""
        return self._within(super().fetchmany, *args, **kwargs)

    def fetchall(self) -> Any:
        """Return all rows that are left."""
        return self._within(super().fetchall)

    def copy_expert(self, *args: Any, **kwargs: Any) -> Any:
        """Copy rows to or from the server."""
        self.connection.statement_count += 1
        return self._within(super().copy_expert, *args, **kwargs)

    def _within(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return wait_bounded(self.connection, call, *args, **kwargs)


def wait_bounded(connection: Psycopg2Connection, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what waits for the server, for `reply_timeout` seconds at most."""
    connection.begin_wait()
    try:
        return call(*args, **kwargs)
    except BaseException as error:
        connection.explain(error)
        raise
    finally:
        connection.end_wait()


def connect(*args: Any, **kwargs: Any) -> Psycopg2Connection:
    """Connect as `psycopg2.connect` does."""
    connection: Psycopg2Connection = psycopg2.connect(*args, connection_factory=Psycopg2Connection, **kwargs)
    reply_timeouts.add(connection)
    return connection


def forgo_prepared_statements(connection: Psycopg2Connection) -> None:
    """Do nothing: psycopg2 prepares no statements."""


@lru_cache(maxsize=8)
def _tracked(factory: type) -> Any:
    return type(f"Tracked{factory.__name__}", (Psycopg2Cursor, factory), {})
