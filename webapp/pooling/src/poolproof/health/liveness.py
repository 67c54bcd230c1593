"""Is a connection alive, and what follows when it is not: listeners of a MySQL engine."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from poolproof import deadlines, event_log
from poolproof.core.connection_record import LAST_USED_AT
from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.errors import PoolConfigurationError
from poolproof.execution_options import READ_ONLY
from poolproof.health.connection_age import PING_TIMEOUT, PingWindow, recycle_after
from poolproof.settings import PoolSettings

log = logging.getLogger(__name__)

LAST_ALIVE_AT = "poolproof_last_alive_at"
"""When it was last known to be alive."""
_SKIPPED_PING = "poolproof_skipped_ping"
"""How long it had lain idle when it was lent unasked, and how much it had been asked by then."""


@dataclass(slots=True)
class ServerRestartDetector:
    """Tells a restarted server from a single lost connection, by the numbers it gives to connections.

    A server counts its connections from its start. Where one was lost, and a connect that began
    after another had ended got a lower number than that one, the count began anew. (Without a
    loss it may be another server behind the same address, which is no reason to renew anything.)
    """

    highest_connection_id: int = 0
    highest_connected_at: float = 0.0
    connection_lost: bool = False

    def record_connect(self, connection_id: int, started_at: float, connected_at: float) -> bool:
        """Note a connect; say whether the server has been restarted since the others were made."""
        restarted = (
            self.connection_lost
            and connection_id < self.highest_connection_id
            and self.highest_connected_at < started_at
        )
        if restarted or connection_id > self.highest_connection_id:
            self.highest_connection_id, self.highest_connected_at = connection_id, connected_at
        self.connection_lost = self.connection_lost and not restarted
        return restarted


class Liveness:
    """What is known about the connections of one engine."""

    def __init__(self, engine: Engine, settings: PoolSettings) -> None:
        """Know nothing yet."""
        self._engine = engine
        self._settings = settings
        self.ping_window = PingWindow(settings.ping_idle_after)
        self.restart_detector = ServerRestartDetector()

    def ping(self, dbapi_connection: Any) -> bool:
        """Ask a connection that nobody uses whether it is alive."""
        read_timeout = self._settings.read_timeout
        if dbapi_connection.responds_within(min(PING_TIMEOUT, read_timeout), read_timeout):
            return True
        self.restart_detector.connection_lost = True
        return False

    def classify_error(self, context: ExceptionContext) -> None:
        """Decide what an error says about its connection, and about the others."""
        error = context.original_exception
        if mysql_errors.is_disconnect(error):
            context.is_disconnect = True
        # One lost connection says nothing about the others, which are asked in their turn; a demoted server does.
        context.invalidate_pool_on_disconnect = mysql_errors.is_read_only(error)
        if mysql_errors.is_read_only(error):
            event_log.record_throttled(
                "failover", "The server takes no writes (any more): all connections are renewed."
            )
        if context.is_disconnect:
            self.restart_detector.connection_lost = True
            if context.connection is not None and not context.connection.invalidated:
                self._record_cutoff(context.connection.connection)

    def detect_restart(self, dbapi_connection: Any, started_at: float) -> None:
        """Renew all older connections when the server turns out to have been restarted."""
        if self.restart_detector.record_connect(dbapi_connection.thread_id(), started_at, time.monotonic()):
            sentence = "The database server has been restarted: all connections to it are renewed."
            log.warning(sentence)
            event_log.record_throttled("restart", sentence)
            self._engine.pool._invalidate_time = time.monotonic()  # noqa: SLF001 - older ones are renewed when lent

    def execute_with_retry(self, cursor: Any, statement: str, parameters: Any) -> None:
        """Execute a statement that only reads; where the connection breaks, once more on a new one in its place."""
        began = time.monotonic()
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            left = deadlines.remaining()
            too_late = left is not None and left <= time.monotonic() - began
            if not mysql_errors.is_connection_lost(error) or too_late or cursor.connection.killed_by_operator:
                raise
            log.info("A connection broke while it was read from; the statement is asked again: %s", error)
            self.restart_detector.connection_lost = True
            began = time.monotonic()
            cursor.connection.reconnect(self._settings)
            self.detect_restart(cursor.connection, began)
            cursor.execute(statement, parameters)

    def _record_cutoff(self, connection: PoolProxiedConnection) -> None:
        trusted = connection.info.pop(_SKIPPED_PING, None)
        lost: Any = connection.dbapi_connection
        if trusted is not None and lost.statement_count <= trusted[1] + 1:
            self.ping_window.record_cutoff(trusted[0], time.monotonic())


def monitor_liveness(engine: Engine, settings: PoolSettings) -> Liveness:
    """Keep dead connections of `engine` from those who borrow, and renew what has to be."""
    liveness = Liveness(engine, settings)
    event.listen(engine, "handle_error", liveness.classify_error)
    _listen_for_connects(engine, liveness, settings)
    _listen_for_checkouts(engine, liveness)

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if not context.root_connection.get_execution_options().get(READ_ONLY, False):
            return False
        liveness.execute_with_retry(cursor, statement, parameters)
        return True

    return liveness


def _listen_for_connects(engine: Engine, liveness: Liveness, settings: PoolSettings) -> None:
    began_at = "poolproof_connect_began"

    @event.listens_for(engine, "do_connect")
    def note_begin(dialect: Any, record: ConnectionPoolEntry, arguments: list[Any], named: dict[str, Any]) -> None:
        record.info[began_at] = time.monotonic()

    @event.listens_for(engine, "connect")
    def judge(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        liveness.detect_restart(dbapi_connection, record.info.get(began_at, 0.0))

    @event.listens_for(engine, "first_connect")
    def learn_wait_timeout(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT @@wait_timeout")
            wait_timeout = int(cursor.fetchone()[0])
        liveness.ping_window.learn_wait_timeout(wait_timeout)
        try:
            seconds = recycle_after(settings.recycle, wait_timeout)
        except PoolConfigurationError as error:
            # The boot check refuses this; here the server has changed since, and requests must go on.
            log.warning("%s Going on with 80 %% of wait_timeout.", error)
            seconds = recycle_after(None, wait_timeout)
        engine.pool._recycle = seconds  # noqa: SLF001 - SQLAlchemy offers no setter; `recreate` keeps it


def _listen_for_checkouts(engine: Engine, liveness: Liveness) -> None:
    @event.listens_for(engine, "checkin")
    def note_when_it_came_back(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[LAST_USED_AT] = record.info[LAST_ALIVE_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping_if_idle(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        now = time.monotonic()
        since = record.info.get(LAST_ALIVE_AT)
        idle = None if since is None else now - since
        if not liveness.ping_window.needs_ping(idle, now):
            record.info[_SKIPPED_PING] = None if idle is None else (idle, dbapi_connection.statement_count)
        elif liveness.ping(dbapi_connection):
            record.info[_SKIPPED_PING] = None
        else:
            # Not InvalidatePoolError: one dead connection says nothing about the others, which are asked in their turn.
            raise DisconnectionError("The connection was lost while it lay idle.")
