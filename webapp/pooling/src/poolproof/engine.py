"""One engine, one pool per process: sized from settings, every wait bounded."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, SingletonThreadPool, StaticPool

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics
from poolproof.drivers import generic, session, sqlite
from poolproof.drivers.database_kind import DatabaseKind, get_database_kind
from poolproof.drivers.mysql.session_setup import SQL_MODE, read_wait_timeout
from poolproof.drivers.postgresql import configuration as postgresql
from poolproof.drivers.postgresql.connect_args import connect_args as postgresql_connect_args
from poolproof.errors import PoolConfigurationError, PoolUsageError
from poolproof.execution_options import READ_ONLY
from poolproof.health import housekeeper, liveness
from poolproof.leaks import checkout_registry
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.own_settings import is_strict
from poolproof.runtime import fork
from poolproof.runtime.threads import REMEDY, require_threads
from poolproof.settings import PoolSettings
from poolproof.transactions import outcomes

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_CONFIGURED = "poolproof_configured"
"""Key in `record.info` of connections whose engine has our listeners."""

_UNSUPPORTED_POOL_CLASS_REASONS = {
    "static": "it gives one single connection to all threads at once, which PyMySQL cannot share: "
    "answers of one request would reach another",
    "singleton_thread": "it keeps a connection for every thread that ever lived and closes others' connections "
    "at random when there are more threads than it counts, so the budget cannot hold",
}


def engine_options(settings: PoolSettings, url: URL, threads: int) -> dict[str, Any]:
    """Return the arguments of `create_engine` for one process with `threads` request threads.

    They are half of an engine: `configure_engine` adds the listeners that begin transactions and set up sessions. An
    engine without them refuses its first connect.

    Raises:
        PoolConfigurationError: when the pool class cannot serve this database.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    _check_pool_class(settings, url, is_sqlite=is_sqlite)
    options: dict[str, Any] = {
        "connect_args": _connect_args(settings, url, is_sqlite=is_sqlite),
        "pool_events": [(_refuse_unless_configured, "connect")],
        # An error's text goes to the log, and what was stored may be a secret.
        "hide_parameters": True,
    }
    if settings.pool_class == "queue":
        options |= {
            "poolclass": FairQueuePool,
            "pool_size": settings.size or threads,
            "max_overflow": settings.max_overflow,
            "pool_timeout": settings.timeout,
            "max_waiting": settings.max_waiting,
            "statistics": PoolStatistics() if settings.metrics else None,
            "shedding": CoDel(settings.codel_target, settings.codel_interval) if settings.codel_target else None,
            # The connection returned last is lent first: the others stay idle long enough to be retired.
            "pool_use_lifo": True,
            # Replaced at the first connect by a value below the server's wait_timeout; see `liveness`.
            "pool_recycle": settings.recycle or -1,
        }
        if get_database_kind(url.get_backend_name(), url.get_driver_name()) is DatabaseKind.OTHER:
            # There is no part of ours that pings, so SQLAlchemy's ping has to do.
            options["pool_pre_ping"] = True
    else:
        classes = {"null": NullPool, "static": StaticPool, "singleton_thread": SingletonThreadPool}
        options["poolclass"] = classes[settings.pool_class]
    return options


def configure_engine(engine: Engine, settings: PoolSettings, lane: str = "interactive") -> LeakDetector:
    """Prepare every new connection of `engine`, and record every checkout with the request it serves.

    `lane` is the name of the lane, for messages and statistics. Returns the leak detector of the engine.

    Raises:
        PoolConfigurationError: when the engine is asynchronous, or threads were replaced by something else.
    """
    require_threads()
    if engine.dialect.is_async:
        raise PoolConfigurationError(f"An asynchronous engine cannot be used with this pool. {REMEDY}")
    # Before the listener that looks for it, which the engine may have from its creation on.
    event.listen(engine, "connect", _mark_configured, insert=True)
    monitor = _configure_driver(engine, settings)
    _refuse_writes_in_read(engine)
    # After the listener that pings: a connection that does not answer is never recorded as checked out.
    leak_detector = LeakDetector(
        checkout_registry.track_checkouts(engine, lane), settings.leak_threshold, settings.max_connections_per_request
    )
    if isinstance(engine.pool, FairQueuePool):
        engine.pool.describe_holders = leak_detector.checkouts.describe
    housekeeper.register_engine(engine, settings, monitor, leak_detector)
    dispose_with_process(engine)
    return leak_detector


def _configure_driver(engine: Engine, settings: PoolSettings) -> liveness.Liveness | None:
    """Add the listeners of the engine's kind of database; return what judges its connections, where there is a server.

    Those that judge come first: a connection that does not answer is never set up.
    """
    match get_database_kind(engine.dialect.name, engine.dialect.driver):
        case DatabaseKind.SQLITE:
            sqlite.configure(engine)
        case DatabaseKind.MYSQL:
            monitor = liveness.monitor_liveness(engine, settings, read_wait_timeout)
            _configure_mysql(engine, settings)
            return monitor
        case DatabaseKind.POSTGRESQL:
            monitor = liveness.monitor_liveness(engine, settings, postgresql.read_idle_timeout)
            postgresql.configure(engine, settings)
            return monitor
        case DatabaseKind.OTHER:
            generic.configure(engine)
    return None


def create_unpooled_engine(url: URL, settings: PoolSettings, lane: str) -> Engine:
    """Return an engine that opens a connection for each use and keeps none, for what happens before there is a pool.

    Raises:
        PoolConfigurationError: when the pool class cannot serve this database.
    """
    _check_pool_class(settings, url, is_sqlite=url.get_backend_name() == "sqlite")
    settings = replace(settings, pool_class="null")
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    configure_engine(engine, settings, lane)
    return engine


def dispose_with_process(engine: Engine) -> None:
    """Close the connections of `engine` at the end of a worker, and drop them in a child of fork."""
    _engines.add(engine)


def dispose_engines() -> None:
    """Close every pooled connection of this process; for the end of a worker."""
    for engine in list(_engines):
        engine.dispose()


def _drop_inherited_connections() -> None:
    # A child of fork shares its parent's sockets: a proper close would end the parent's sessions on the server.
    for engine in list(_engines):
        engine.dispose(close=False)


fork.register(_drop_inherited_connections, fork.Phase.CONNECTIONS)


def _mark_configured(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_CONFIGURED] = True


def _refuse_unless_configured(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    if not record.info.get(_CONFIGURED, False):
        dbapi_connection.close()
        raise PoolConfigurationError(
            "This engine has the options of engine_options() without the listeners that begin its transactions: call "
            "configure_engine(engine, settings) before it is used, for each engine. To keep the sessions of an "
            "application as they are, use poolproof.adopt(engine) without engine_options()."
        )


def _check_pool_class(settings: PoolSettings, url: URL, *, is_sqlite: bool) -> None:
    in_memory = is_sqlite and url.database in {None, "", ":memory:"}
    if not is_sqlite and (reason := _UNSUPPORTED_POOL_CLASS_REASONS.get(settings.pool_class)):
        raise PoolConfigurationError(
            f"POOL_CLASS={settings.pool_class} cannot be used with {url.get_backend_name()}: {reason}. "
            "Use POOL_CLASS=queue, or null to open one connection for each use."
        )
    if in_memory and settings.pool_class != "static":
        raise PoolConfigurationError(
            "DATABASE_URL names an SQLite database in memory: every connection would see an empty one of its own. "
            "Name a file, or set POOL_CLASS=static."
        )


def _connect_args(settings: PoolSettings, url: URL, *, is_sqlite: bool) -> dict[str, Any]:
    if is_sqlite:
        return {"check_same_thread": False, "timeout": sqlite.BUSY_TIMEOUT}
    kind = get_database_kind(url.get_backend_name(), url.get_driver_name())
    if kind is DatabaseKind.POSTGRESQL:
        return postgresql_connect_args(settings, url)
    if kind is not DatabaseKind.MYSQL:
        return {}
    from poolproof.drivers.mysql import connect_args

    return connect_args.connect_args(settings, url)


def _refuse_writes_in_read(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def check_statement(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        outcomes.record_statement(connection, statement)
        is_read_only = connection.get_execution_options().get(READ_ONLY, False)
        if is_read_only and not outcomes.is_read(statement):
            verb = statement.split(maxsplit=1)[0]
            raise PoolUsageError(
                f"{verb} inside of read(): what writes belongs into transaction() or run_in_transaction()."
            )


def _configure_mysql(engine: Engine, settings: PoolSettings) -> None:
    from poolproof.drivers.mysql.connection import TrackedConnection

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: ConnectionPoolEntry, arguments: list[Any], named: dict[str, Any]) -> Any:
        # From the connect on: before any listener of ours, SQLAlchemy asks the first session how names are quoted, and
        # its SQL mode decides that.
        mode = {"sql_mode": SQL_MODE} if is_strict(settings) else {}
        return TrackedConnection(*arguments, **{**mode, **named})

    @event.listens_for(engine, "connect")
    def init_session(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        dbapi_connection.init_session(settings)

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        if session.needs_transaction(connection) and not connection.get_execution_options().get(READ_ONLY, False):
            connection.exec_driver_sql("BEGIN")

    session.protect_sessions(engine)
