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

from webapp.pooling import deadlines, driver, events
from webapp.pooling.errors import PoolConfigurationError
from webapp.pooling.freshness import PING_WITHIN, Window, recycle_after
from webapp.pooling.settings import PoolSettings

log = logging.getLogger(__name__)

READS = "poolproof_reads"
"""Execution option of a connection that only reads: it needs no transaction, and may not write."""

AT_ONCE = "poolproof_at_once"
"""Execution option of a connection whose every statement is a transaction of its own."""

USED_AT = "poolproof_used_at"
"""Key in `record.info`: when the connection last came back from use, on the monotonic clock."""
ALIVE_AT = "poolproof_alive_at"
"""When it was last known to be alive."""
_TRUSTED = "poolproof_trusted"
"""How long it had lain idle when it was lent unasked, and how much it had been asked by then."""


@dataclass(slots=True)
class Generation:
    """Tells a restarted server from a single lost connection, by the numbers it gives to connections.

    A server counts its connections from its start. Where one was lost, and a connect that began
    after another had ended got a lower number than that one, the count began anew. (Without a
    loss it may be another server behind the same address, which is no reason to renew anything.)
    """

    highest: int = 0
    highest_ended: float = 0.0
    was_lost: bool = False

    def is_new(self, number: int, began: float, ended: float) -> bool:
        """Note a connect; say whether the server has been restarted since the others were made."""
        restarted = self.was_lost and number < self.highest and self.highest_ended < began
        if restarted or number > self.highest:
            self.highest, self.highest_ended = number, ended
        self.was_lost = self.was_lost and not restarted
        return restarted


class Liveness:
    """What is known about the connections of one engine."""

    def __init__(self, engine: Engine, settings: PoolSettings) -> None:
        """Know nothing yet."""
        self._engine = engine
        self._settings = settings
        self.window = Window(settings.ping_after)
        self.generation = Generation()

    def answers(self, dbapi_connection: Any) -> bool:
        """Ask a connection that nobody uses whether it is alive."""
        read_timeout = self._settings.read_timeout
        if driver.answers(dbapi_connection, min(PING_WITHIN, read_timeout), read_timeout):
            return True
        self.generation.was_lost = True
        return False

    def judge(self, context: ExceptionContext) -> None:
        """Decide what an error says about its connection, and about the others."""
        error = context.original_exception
        if driver.is_disconnect(error):
            context.is_disconnect = True
        # One lost connection says nothing about the others, which are asked in their turn; a demoted server does.
        context.invalidate_pool_on_disconnect = driver.is_demoted(error)
        if driver.is_demoted(error):
            events.note_now_and_then("failover", "The server takes no writes (any more): all connections are renewed.")
        if context.is_disconnect:
            self.generation.was_lost = True
            if context.connection is not None and not context.connection.invalidated:
                self._learn_from_cut_off(context.connection.connection)

    def judge_the_new(self, dbapi_connection: Any, began: float) -> None:
        """Renew all older connections when the server turns out to have been restarted."""
        if self.generation.is_new(dbapi_connection.thread_id(), began, time.monotonic()):
            sentence = "The database server has been restarted: all connections to it are renewed."
            log.warning(sentence)
            events.note_now_and_then("restart", sentence)
            self._engine.pool._invalidate_time = time.monotonic()  # noqa: SLF001 - older ones are renewed when lent

    def read_again(self, cursor: Any, statement: str, parameters: Any) -> None:
        """Execute a statement that only reads; where the connection breaks, once more on a new one in its place."""
        began = time.monotonic()
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            left = deadlines.remaining()
            too_late = left is not None and left <= time.monotonic() - began
            if not driver.is_lost(error) or too_late or cursor.connection.is_condemned:
                raise
            log.info("A connection broke while it was read from; the statement is asked again: %s", error)
            self.generation.was_lost = True
            began = time.monotonic()
            cursor.connection.reopen(self._settings)
            self.judge_the_new(cursor.connection, began)
            cursor.execute(statement, parameters)

    def _learn_from_cut_off(self, connection: PoolProxiedConnection) -> None:
        trusted = connection.info.pop(_TRUSTED, None)
        lost: Any = connection.dbapi_connection
        if trusted is not None and lost.asked <= trusted[1] + 1:
            self.window.was_cut_off(trusted[0], time.monotonic())


def watch(engine: Engine, settings: PoolSettings) -> Liveness:
    """Keep dead connections of `engine` from those who borrow, and renew what has to be."""
    liveness = Liveness(engine, settings)
    event.listen(engine, "handle_error", liveness.judge)
    _at_connects(engine, liveness, settings)
    _at_checkouts(engine, liveness)

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if not context.root_connection.get_execution_options().get(READS, False):
            return False
        liveness.read_again(cursor, statement, parameters)
        return True

    return liveness


def _at_connects(engine: Engine, liveness: Liveness, settings: PoolSettings) -> None:
    began_at = "poolproof_connect_began"

    @event.listens_for(engine, "do_connect")
    def note_begin(dialect: Any, record: ConnectionPoolEntry, arguments: list[Any], named: dict[str, Any]) -> None:
        record.info[began_at] = time.monotonic()

    @event.listens_for(engine, "connect")
    def judge(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        liveness.judge_the_new(dbapi_connection, record.info.get(began_at, 0.0))

    @event.listens_for(engine, "first_connect")
    def learn_wait_timeout(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT @@wait_timeout")
            wait_timeout = int(cursor.fetchone()[0])
        liveness.window.learn_wait_timeout(wait_timeout)
        try:
            seconds = recycle_after(settings.recycle, wait_timeout)
        except PoolConfigurationError as error:
            # The boot check refuses this; here the server has changed since, and requests must go on.
            log.warning("%s Going on with 80 %% of wait_timeout.", error)
            seconds = recycle_after(None, wait_timeout)
        engine.pool._recycle = seconds  # noqa: SLF001 - SQLAlchemy offers no setter; `recreate` keeps it


def _at_checkouts(engine: Engine, liveness: Liveness) -> None:
    @event.listens_for(engine, "checkin")
    def note_when_it_came_back(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[USED_AT] = record.info[ALIVE_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping_if_idle(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        now = time.monotonic()
        since = record.info.get(ALIVE_AT)
        idle = None if since is None else now - since
        if not liveness.window.is_worth_a_ping(idle, now):
            record.info[_TRUSTED] = None if idle is None else (idle, dbapi_connection.asked)
        elif liveness.answers(dbapi_connection):
            record.info[_TRUSTED] = None
        else:
            # Not InvalidatePoolError: one dead connection says nothing about the others, which are asked in their turn.
            raise DisconnectionError("The connection was lost while it lay idle.")
