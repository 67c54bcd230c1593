"""A session is lent as it was set up: what a caller changes in it ends with its checkout.

SQLAlchemy resets an isolation level to the one that the server gives to new sessions, not to ours. So the two methods
of the dialect through which all of SQLAlchemy sets and resets levels (`isolation_level` as an execution option of a
connection, a session or an engine, and as an argument of `create_engine`) are replaced by ours, which ask the
connection. Whatever else was changed is noticed at the return, and closes the connection; see `is_reusable` of each
driver for what it can notice.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.errors import PoolUsageError
from poolproof.execution_options import AUTOCOMMIT, TRANSACTION

log = logging.getLogger(__name__)


class ProtectedConnection(Protocol):
    """A DBAPI connection that knows the state of its session."""

    @property
    def is_autocommit(self) -> bool: ...  # noqa: D102
    def use_isolation_level(self, level: str) -> None: ...  # noqa: D102
    def restore_isolation_level(self) -> None: ...  # noqa: D102
    def is_reusable(self) -> bool: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def protect_sessions(engine: Engine) -> None:
    """Restore isolation levels at every return, and close a connection whose session is not as it was set up."""
    dialect: Any = engine.dialect
    dialect.set_isolation_level = _use_isolation_level
    dialect.reset_isolation_level = _restore_isolation_level

    @event.listens_for(engine, "checkin")
    def close_changed(dbapi_connection: ProtectedConnection | None, record: ConnectionPoolEntry) -> None:
        # None: it was invalidated, and is closed already.
        if dbapi_connection is not None and not dbapi_connection.is_reusable():
            log.info("A connection is closed and not lent again: its session was changed, or it is not usable.")
            record.invalidate()


def needs_transaction(connection: Any) -> bool:
    """Say whether what a SQLAlchemy connection is about to execute belongs into a transaction."""
    options = connection.get_execution_options()
    if options.get(AUTOCOMMIT, False):
        return False
    # `transaction()` promises one, whatever the engine's own level.
    return options.get(TRANSACTION, False) or not connection.connection.dbapi_connection.is_autocommit


def use_autocommit(connection: Connection) -> None:
    """Let every statement of `connection` be a transaction of its own, until it returns.

    Raises:
        PoolUsageError: when the session is not ours and its driver has no autocommit.
    """
    dialect: Any = connection.dialect
    if dialect.set_isolation_level is _use_isolation_level:
        connection.execution_options(**{AUTOCOMMIT: True})
        return
    # No listener of ours decides about BEGIN: the driver does, and SQLAlchemy resets its level at the return.
    try:
        connection.execution_options(isolation_level="AUTOCOMMIT")
    except (ArgumentError, NotImplementedError) as error:
        raise PoolUsageError(
            f"{dialect.name}+{dialect.driver} has no autocommit that SQLAlchemy could set: use transaction()."
        ) from error


def _use_isolation_level(connection: ProtectedConnection, level: str) -> None:
    connection.use_isolation_level(level)


def _restore_isolation_level(connection: ProtectedConnection) -> None:
    """Restore the level; called while a connection returns, where an error would return it as it is."""
    try:
        connection.restore_isolation_level()
    except Exception as error:  # noqa: BLE001 - whatever it is, the session is in no known state
        log.info("An isolation level could not be restored: %s", error)
        connection.close()
