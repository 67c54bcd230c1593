"""Whether a connection is alive, and what follows when it is not: event listeners of an engine with a server."""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from poolproof import deadlines, event_log
from poolproof.core.connection_record import (
    LAST_ALIVE_AT,
    MonotonicRecord,
    invalidate_older_connections,
    set_recycle,
)
from poolproof.drivers import errors
from poolproof.errors import PoolConfigurationError
from poolproof.execution_options import READ_ONLY
from poolproof.health.connection_age import MAX_AGE_WITHOUT_LIMIT, PING_TIMEOUT, PingWindow, recycle_after
from poolproof.health.server_restart import ServerRestartDetector
from poolproof.runtime import clock
from poolproof.settings import PoolSettings

log = logging.getLogger(__name__)

READ_ONLY_MEMORY = 5.0
"""Seconds for which an error that may mean a read-only server is taken for one after the server has said so."""
MAX_REPEATS = 2
"""How often a read is executed again on a new connection."""

_SKIPPED_PING = "poolproof_skipped_ping"
"""Key in `record.info`: the idle seconds and the statement count at a checkout that skipped the ping."""
_CONNECT_STARTED_AT = "poolproof_connect_started_at"
"""Key in `record.info`: when its connect began, on the monotonic clock."""


class Liveness:
    """Judges the connections of one engine: pings, errors, restarts of the server."""

    def __init__(self, engine: Engine, settings: PoolSettings) -> None:
        """Begin without any knowledge of the server."""
        self._engine = engine
        self._settings = settings
        self.ping_window = PingWindow(settings.ping_idle_after)
        self.restart_detector = ServerRestartDetector()
        self._refused_writes_at = -math.inf
        """When the server last said that it accepts no writes, on the monotonic clock."""

    def ping(self, dbapi_connection: Any) -> bool:
        """Say whether the server answers on a connection that is not in use."""
        read_timeout = self._settings.read_timeout
        if dbapi_connection.responds_within(min(PING_TIMEOUT, read_timeout), read_timeout):
            return True
        self.restart_detector.connection_lost = True
        return False

    def classify_error(self, context: ExceptionContext) -> None:
        """Decide what an error means for its connection, and for the others; listener of `handle_error`."""
        error = context.original_exception
        proxy = None
        if context.connection is not None and not context.connection.invalidated:
            proxy = context.connection.connection
        dbapi_connection: Any = proxy.dbapi_connection if proxy is not None else None
        is_read_only = dbapi_connection is not None and self._accepts_no_writes(error, dbapi_connection)
        if dbapi_connection is not None and isinstance(error, Exception):
            # In place of SQLAlchemy's own judgement, which reads the text of an error, and with it a caller's values.
            # Whatever the driver has closed is lost, and is not returned as usable.
            is_useless = errors.is_disconnect(error) or not dbapi_connection.open
            context.is_disconnect = is_useless or is_read_only
        # One lost connection says nothing about the others, which are pinged in their turn; a demoted server does.
        context.invalidate_pool_on_disconnect = is_read_only
        if is_read_only:
            event_log.record_throttled(
                "failover", "The server accepts no writes (any more): all connections are renewed."
            )
        if context.is_disconnect:
            self.restart_detector.connection_lost = True
            if proxy is not None:
                self._record_cutoff(proxy)

    def _accepts_no_writes(self, error: BaseException, dbapi_connection: Any) -> bool:
        """Ask the server, on the connection of an error that may mean so: it is refused, but not broken.

        Where it has said so in the last seconds, it may have begun to accept writes between the error and the question.
        """
        if not errors.may_be_read_only(error):
            return False
        read_timeout = self._settings.read_timeout
        now = time.monotonic()
        if dbapi_connection.accepts_no_writes(min(PING_TIMEOUT, read_timeout), read_timeout):
            self._refused_writes_at = now
        return now - self._refused_writes_at < READ_ONLY_MEMORY

    def detect_restart(self, dbapi_connection: Any, started_at: float) -> None:
        """Renew all older connections when the server turns out to have been restarted."""
        detector, server_start = self.restart_detector, getattr(dbapi_connection, "server_start", None)
        if server_start is not None:
            restarted = detector.record_server_start(server_start)
        else:
            restarted = detector.record_connect(dbapi_connection.thread_id(), started_at, time.monotonic())
        if restarted:
            sentence = "The database server has been restarted: all connections to it are renewed."
            log.warning(sentence)
            event_log.record_throttled("restart", sentence)
            invalidate_older_connections(self._engine.pool)

    def execute_with_retry(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute a statement that only reads; where the connection breaks, again on a new one in its place.

        That is done up to `MAX_REPEATS` times: where connections are ended one by one, the new one may be next.
        """
        started_at = time.monotonic()
        for attempt in range(MAX_REPEATS + 1):
            try:
                if attempt:
                    cursor = self._reconnected(cursor, context)
                cursor.execute(statement, parameters)
            except Exception as error:
                remaining = deadlines.remaining()
                # A further attempt may take as long as all before it did.
                is_too_late = remaining is not None and remaining <= time.monotonic() - started_at
                is_final = attempt == MAX_REPEATS or is_too_late or not _may_be_replaced(cursor.connection)
                if is_final or not errors.is_connection_lost(error):
                    raise
                log.info("A connection broke during a read; the statement is executed again: %s", error)
                self.restart_detector.connection_lost = True
            else:
                return

    def _reconnected(self, cursor: Any, context: Any) -> Any:
        """Replace a broken connection under its caller; return the cursor to go on with."""
        dbapi_connection = cursor.connection
        if hasattr(dbapi_connection, "reconnect"):
            self._reconnect(dbapi_connection)
            return cursor
        # A connection of libpq's cannot be opened again: another object takes its place.
        record, proxy = dbapi_connection.pool_entry(), context.root_connection.connection
        record.info[_CONNECT_STARTED_AT] = time.monotonic()
        replacement = record.replace_in_use(proxy)
        replacement.statement_count += dbapi_connection.statement_count
        replacement.use_isolation_level(dbapi_connection.level)
        replacement.session_changed = False
        context.cursor = context.create_cursor()
        return context.cursor

    def _reconnect(self, dbapi_connection: Any) -> None:
        """Replace a broken connection under its caller; where that fails, it stays closed."""
        entry = dbapi_connection.pool_entry()
        level = dbapi_connection.isolation_level
        entry.info[_CONNECT_STARTED_AT] = time.monotonic()
        try:
            dbapi_connection.reconnect(self._settings.connect_timeout)
            # Every listener of `connect`, as for any new connection: ours set up the session and detect a restart,
            # an application's may set up something of its own.
            self._engine.pool.dispatch.connect(dbapi_connection, entry)
            dbapi_connection.use_isolation_level(level)
        except BaseException:
            # Also where a connect succeeded and the session was not set up: nobody may use it.
            with suppress(Exception):
                dbapi_connection.close()
            raise
        dbapi_connection.session_changed = False

    def _record_cutoff(self, connection: PoolProxiedConnection) -> None:
        skipped_ping = connection.info.pop(_SKIPPED_PING, None)
        dbapi_connection: Any = connection.dbapi_connection
        # Only an error at the first statement says that the connection was dead while it lay idle.
        if skipped_ping is not None and dbapi_connection.statement_count <= skipped_ping[1] + 1:
            self.ping_window.record_cutoff(skipped_ping[0], clock.since_boot())


def _may_be_replaced(dbapi_connection: Any) -> bool:
    """Say whether the connection is one of a pool, and none that an operator has ended."""
    entry = dbapi_connection.pool_entry
    record = None if entry is None else entry()
    can_be_replaced = hasattr(dbapi_connection, "reconnect") or isinstance(record, MonotonicRecord)
    return record is not None and can_be_replaced and not dbapi_connection.killed_by_operator


def monitor_liveness(
    engine: Engine, settings: PoolSettings, read_wait_timeout: Callable[[Any], int | None]
) -> Liveness:
    """Keep callers of `engine` from getting dead connections; return what judges them.

    `read_wait_timeout` returns after how many idle seconds the server closes a connection; None: never.
    """
    liveness = Liveness(engine, settings)
    event.listen(engine, "handle_error", liveness.classify_error)
    _listen_for_connects(engine, liveness, settings, read_wait_timeout)
    _listen_for_checkouts(engine, liveness)

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if not context.root_connection.get_execution_options().get(READ_ONLY, False):
            return False
        liveness.execute_with_retry(cursor, statement, parameters, context)
        return True

    return liveness


def _listen_for_connects(
    engine: Engine, liveness: Liveness, settings: PoolSettings, read_wait_timeout: Callable[[Any], int | None]
) -> None:
    @event.listens_for(engine, "do_connect")
    def record_start(dialect: Any, record: ConnectionPoolEntry, arguments: list[Any], named: dict[str, Any]) -> None:
        record.info[_CONNECT_STARTED_AT] = time.monotonic()

    @event.listens_for(engine, "connect")
    def check_for_restart(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        dbapi_connection.pool_entry = weakref.ref(record)
        liveness.detect_restart(dbapi_connection, record.info.get(_CONNECT_STARTED_AT, 0.0))

    @event.listens_for(engine, "detach")
    def forget_entry(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        # It holds another connection from now on.
        dbapi_connection.pool_entry = None

    @event.listens_for(engine, "first_connect")
    def learn_wait_timeout(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        wait_timeout = read_wait_timeout(dbapi_connection)
        if wait_timeout is None:
            set_recycle(engine.pool, settings.recycle or MAX_AGE_WITHOUT_LIMIT)
            return
        liveness.ping_window.learn_wait_timeout(wait_timeout)
        try:
            seconds = recycle_after(settings.recycle, wait_timeout)
        except PoolConfigurationError as error:
            # The boot check refuses this; the server's setting has changed since, and requests must go on.
            log.warning("%s Going on with 80 %% of wait_timeout.", error)
            seconds = recycle_after(None, wait_timeout)
        set_recycle(engine.pool, seconds)


def _listen_for_checkouts(engine: Engine, liveness: Liveness) -> None:
    @event.listens_for(engine, "checkout")
    def ping_if_idle(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        # What listeners of `connect` have set belongs to the session.
        dbapi_connection.session_changed = False
        now = clock.since_boot()
        since = record.info.get(LAST_ALIVE_AT)
        idle = None if since is None else now - since
        if not liveness.ping_window.needs_ping(idle, now):
            record.info[_SKIPPED_PING] = None if idle is None else (idle, dbapi_connection.statement_count)
        elif liveness.ping(dbapi_connection):
            record.info[_SKIPPED_PING] = None
        else:
            # Not InvalidatePoolError: one dead connection says nothing about the others, which are pinged in turn.
            raise DisconnectionError("The connection was lost while it lay idle.")
