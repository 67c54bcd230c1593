"""The ping of a connection that lay idle, on any driver and with the application's own time-outs.

Unlike `liveness` it changes nothing in a session, repeats no statement and judges no error: SQLAlchemy does that. The
ping is the dialect's own, which leaves no transaction open.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from poolproof.core.connection_record import LAST_USED_AT
from poolproof.drivers.database_kind import DatabaseKind, get_database_kind
from poolproof.drivers.postgresql.reply_timeouts import bounded
from poolproof.health.connection_age import PING_TIMEOUT
from poolproof.health.liveness import LAST_ALIVE_AT
from poolproof.runtime import clock


def record_returns(engine: Engine) -> None:
    """Record when each connection of `engine` was last used: what was not needed for long is closed."""

    @event.listens_for(engine, "checkin")
    def record_return(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[LAST_USED_AT] = record.info[LAST_ALIVE_AT] = clock.since_boot()


def ping_idle_connections(engine: Engine, seconds: float) -> None:
    """Ping a connection of `engine` before it is lent when it was idle for `seconds`; replace it if it is dead."""
    dialect = engine.dialect
    is_postgresql = get_database_kind(dialect.name, dialect.driver) is DatabaseKind.POSTGRESQL

    @event.listens_for(engine, "checkout")
    def ping_if_idle(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        alive_at = record.info.get(LAST_ALIVE_AT)
        if alive_at is None or clock.since_boot() - alive_at < seconds:
            return
        try:
            # libpq's ping has no end where a firewall has dropped the connection without a word.
            with bounded(dbapi_connection, PING_TIMEOUT) if is_postgresql else nullcontext():
                is_alive = dialect.do_ping(dbapi_connection)
        except (dialect.loaded_dbapi.Error, OSError):
            is_alive = False
        if not is_alive:
            raise DisconnectionError("The connection was lost while it lay idle.")
