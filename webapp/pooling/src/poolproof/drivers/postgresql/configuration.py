"""The listeners that make an engine's connections ours: the one place that knows which of the two drivers it is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.drivers import session
from poolproof.drivers.connect_state import connect_state
from poolproof.drivers.postgresql import errors, session_setup
from poolproof.execution_options import READ_ONLY
from poolproof.settings import PoolSettings

MODULES = {
    "psycopg": "poolproof.drivers.postgresql.psycopg_connection",
    "psycopg2": "poolproof.drivers.postgresql.psycopg2_connection",
}
"""By SQLAlchemy's name of the driver; each imports its driver."""


def configure(engine: Engine, settings: PoolSettings, *, owns_session: bool = True) -> None:
    """Make every new connection of `engine` one that tracks what it is doing.

    With `owns_session` the pool sets up the session (as `connect_args` says), begins each transaction by itself, bounds
    each reply, and closes a connection whose session a caller has changed. Without, session, transactions and
    time-outs are as the application and SQLAlchemy have them, and only pings are bounded.
    """
    driver: Any = import_module(MODULES[engine.dialect.driver])

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: ConnectionPoolEntry, arguments: list[Any], named: dict[str, Any]) -> Any:
        connection = _connect(driver, arguments, named)
        try:
            # What is asked here must be bounded as well; the connect's own time-out is over.
            connection.reply_timeout = settings.read_timeout
            session_setup.learn_server(connection)
            if connection.is_behind_pooler:
                driver.forgo_prepared_statements(connection)
            connection.reply_timeout = None
            if owns_session:
                connection.own(settings.read_timeout)
                if connection.is_behind_pooler:
                    session_setup.check_owned_session(connection, settings, engine.url.username)
        except BaseException:
            connection.close()
            raise
        return connection

    if owns_session:
        _own_sessions(engine)


def _connect(driver: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    connect_state.in_progress = True
    try:
        return driver.connect(*arguments, **named)
    except driver.DriverError as error:
        errors.mark_connect_error(error)
        raise
    finally:
        connect_state.in_progress = False


def _own_sessions(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def finish_setup(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        dbapi_connection.finish_setup()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        if session.needs_transaction(connection) and not connection.get_execution_options().get(READ_ONLY, False):
            connection.exec_driver_sql(connection.connection.dbapi_connection.begin_statement())

    session.protect_sessions(engine)


def read_idle_timeout(dbapi_connection: Any) -> int | None:
    """Return the seconds after which the server closes an idle session; None: never."""
    seconds: int | None = dbapi_connection.idle_session_timeout
    return seconds
