"""The ping of a connection that was idle, on any driver and with the application's own time-outs.

Unlike `liveness` it changes nothing in a session, repeats no statement and judges no error: SQLAlchemy does that. The
ping is the dialect's own, which leaves no transaction open.
"""

from __future__ import annotations

from contextlib import nullcontext

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.core.connection_record import LAST_ALIVE_AT
from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers.database_kind import DatabaseKind, get_database_kind
from poolproof.drivers.postgresql.reply_timeouts import bounded
from poolproof.health.connection_age import PING_TIMEOUT
from poolproof.runtime import clock


def ping_idle_connections(engine: Engine, pool: FairQueuePool, seconds: float) -> None:
    """Ping a connection of `engine` before `pool` lends it when it was idle for `seconds`; a dead one is replaced."""
    dialect = engine.dialect
    is_postgresql = get_database_kind(dialect.name, dialect.driver) is DatabaseKind.POSTGRESQL

    def is_alive(dbapi_connection: DBAPIConnection, record: ConnectionPoolEntry) -> bool:
        alive_at = record.info.get(LAST_ALIVE_AT)
        if alive_at is None or clock.since_boot() - alive_at < seconds:
            return True
        try:
            # libpq's ping has no end where a firewall has dropped the connection without a word.
            with bounded(dbapi_connection, PING_TIMEOUT) if is_postgresql else nullcontext():
                return dialect.do_ping(dbapi_connection)
        except (dialect.loaded_dbapi.Error, OSError):
            return False

    pool.is_alive = is_alive
