"""All that is known about PyMySQL and MySQL's numbers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, CR, ER, SERVER_STATUS
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from webapp.pooling import tls
from webapp.pooling.settings import PoolSettings

NO_CAPACITY = {ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED}
"""The server is full: max_connections, max_user_connections, or a limit of the account."""

READ_ONLY = {
    1290,  # the server runs with --read-only
    1792,  # … in a READ ONLY transaction
    1836,  # … in read-only mode
}
"""The server takes no writes (any more): after a failover the pool would keep the demoted one for ever."""

LOST = {
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    ER.SERVER_SHUTDOWN,
    ER.NORMAL_SHUTDOWN,
    1927,  # MariaDB: connection was killed
    4031,  # MySQL: disconnected by the server because of inactivity
}
"""The connection broke, or the server has closed it."""

AWAY = LOST | {CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR}
"""No server answers, or the connection broke."""

CONTENDED = {
    ER.LOCK_DEADLOCK,
    ER.LOCK_WAIT_TIMEOUT,
    ER.CHECKREAD,  # MariaDB with innodb_snapshot_isolation, its default since 11.6: another one has changed the row
}
"""Two transactions wanted the same rows; the loser may simply try again."""


PACKET = 64 * 1024
"""Bytes sent at once of what is loaded."""

_RECORDS = re.compile(rb"Records: (\d+)")


class _Connecting(threading.local):
    now = False


connecting = _Connecting()
"""Whether this thread is connecting to the database."""


class Answer(MySQLResult):
    """What a server answers; when it asks for a file it is sent what we have made, else nothing."""

    def __init__(self, connection: Any, to_load: bytes | None) -> None:
        """Send `to_load` when the server asks."""
        super().__init__(connection)
        self._to_load = to_load

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: Any = self.connection
        content = self._to_load or b""
        for start in range(0, len(content), PACKET):
            connection.write_packet(content[start : start + PACKET])
        # An empty one ends it; the server answers in any case, with a count or with an error.
        connection.write_packet(b"")
        self._read_ok_packet(connection._read_packet())  # type: ignore[attr-defined]  # noqa: SLF001
        if self._to_load is None:
            raise pymysql.err.NotSupportedError("The server has asked for a file of this machine, and got nothing.")


class FrugalConnection(pymysql.Connection):
    """A connection that ends a transaction only where there is one, and knows what it is doing.

    It is in autocommit, so that a lone SELECT is one round trip, and a transaction begins with
    an explicit BEGIN (see `engine`). Then the server says with its answer to BEGIN that one is
    open, and with those to COMMIT and ROLLBACK that none is. In the other mode PyMySQL could
    not be believed: it drops the status that ends a SELECT, which may have begun one.
    """

    answered_at = 0.0
    """When the server last answered a statement, on the monotonic clock."""
    asked = 0
    """How many statements the server was sent."""
    is_condemned = False
    """Whether an operator has ended what is under way here: it is not to be tried again."""
    server_version: str
    busy_since: float | None = None
    """Since when the server has owed an answer, on the monotonic clock; None while it owes none."""
    to_load: bytes | None = None
    """What the next LOAD DATA LOCAL is given."""

    def __init__(self, *arguments: Any, client_flag: int = 0, **named: Any) -> None:
        """Let the server ask for what is to be loaded; for a file it asks in vain (see `Answer`)."""
        super().__init__(*arguments, client_flag=client_flag | CLIENT.LOCAL_FILES, **named)

    def connect(self, sock: Any = None) -> None:
        """Connect and sign in."""
        connecting.now = True
        try:
            super().connect(sock)
        finally:
            connecting.now = False

    def query(self, sql: Any, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        """Send a statement and read what comes first."""
        self.asked += 1
        self.busy_since = time.monotonic()
        try:
            affected: int = super().query(sql, unbuffered)
        finally:
            self.busy_since = None
            self.answered_at = time.monotonic()
        return affected

    def commit(self) -> None:
        """Commit, if there is anything to commit."""
        self._end(super().commit)

    def rollback(self) -> None:
        """Roll back, if there is anything to roll back."""
        self._end(super().rollback)

    def reopen(self, settings: PoolSettings) -> None:
        """Connect again in the same place, with a session like the first; nothing may have been under way."""
        with suppress(pymysql.err.Error):
            self.close()
        use_read_timeout(self, settings.connect_timeout)
        self.connect()
        self.begin_session(settings)

    def begin_session(self, settings: PoolSettings) -> None:
        """Make a fresh session ours: one SET, and time for statements instead of handshakes."""
        use_read_timeout(self, settings.read_timeout)
        with self.cursor() as cursor:
            cursor.execute(session_statement(self.server_version, settings))

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        if unbuffered:
            affected: int = super()._read_query_result(unbuffered)  # type: ignore[misc]
            return affected
        self._result = None
        answer: Any = Answer(self, self.to_load)
        answer.read()
        self._result = answer
        # Only what changes something says how the session stands.
        if answer.server_status is not None:
            self.server_status = answer.server_status
        return int(answer.affected_rows)

    def _end(self, step: Callable[[], None]) -> None:
        # Not known before the first answer; then the question costs nothing.
        if not getattr(self, "server_status", 0) & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
            return
        self.asked += 1
        self.busy_since = time.monotonic()
        try:
            step()
        finally:
            self.busy_since = None
            self.answered_at = time.monotonic()


def connect_arguments(settings: PoolSettings, url: URL) -> dict[str, Any]:
    """Return PyMySQL's arguments: every wait is bounded and TLS is decided once."""
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        # Until it is signed in; `use_read_timeout` lengthens it. A peer that accepts and stays mute costs no more.
        "read_timeout": settings.connect_timeout,
        "write_timeout": settings.write_timeout,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    if tls.is_wanted(settings, url):
        arguments["ssl"] = tls.shared_context(settings.tls_ca)
    else:
        # Otherwise PyMySQL builds a context at every connect: 28 ms instead of 0.5.
        arguments["ssl_disabled"] = True
    return arguments


def session_statement(server_version: str, settings: PoolSettings) -> str:
    """Return the one SET that makes a new session ours.

    Read committed, because ranges that one transaction has read must not lock out the
    inserts of others; UTC; no silent truncation; statements bounded by the server.
    """
    # MariaDB says "5.5.5-10.11.6-MariaDB" to be taken for MySQL by old clients.
    if "MariaDB" in server_version:
        limit = f"max_statement_time = {settings.statement_timeout:g}"
        isolation = "tx_isolation = 'READ-COMMITTED'"
    else:
        limit = f"max_execution_time = {int(settings.statement_timeout * 1000)}"
        isolation = "transaction_isolation = 'READ-COMMITTED'"
    modes = "sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY'"
    return f"SET SESSION time_zone = '+00:00', SESSION {isolation}, SESSION {modes}, SESSION {limit}"


def use_read_timeout(connection: Any, seconds: float) -> None:
    """Bound each further answer on this connection. PyMySQL offers no setter, but looks at this before each read."""
    connection._read_timeout = seconds  # noqa: SLF001


def answers(connection: Any, within: float, read_timeout: float) -> bool:
    """Say whether the server answers a ping on this connection within so many seconds."""
    use_read_timeout(connection, within)
    try:
        connection.ping(reconnect=False)
    except (pymysql.err.Error, OSError):
        return False
    finally:
        use_read_timeout(connection, read_timeout)
    return True


def is_disconnect(error: BaseException) -> bool:
    """Say whether an error that SQLAlchemy takes for an ordinary one means that the connection is of no use.

    A server that shuts down (1053) or takes no writes, and a protocol that is out of step.
    """
    number = error_number(error)
    return number in READ_ONLY or number == ER.SERVER_SHUTDOWN or "Packet sequence number wrong" in str(error)


def is_lost(error: BaseException) -> bool:
    """Say whether the connection broke, so that a new one may do better; one that was only too slow did not."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    number = error_number(original)
    # 0: PyMySQL's word for a connection that it has closed itself.
    broke = number in LOST or (number == 0 and isinstance(original, pymysql.err.InterfaceError))
    was_slow = isinstance(original.__context__, TimeoutError)
    return (broke or "Packet sequence number wrong" in str(original)) and not was_slow


def is_demoted(error: BaseException) -> bool:
    """Say whether the server takes no writes, or no more: then all connections to it are the wrong ones."""
    return error_number(error) in READ_ONLY


def rows_selected(connection: Connection, rowcount: int) -> int:
    """Return how many rows the INSERT … SELECT that `connection` has just executed has inserted or updated.

    MySQL's count of affected rows takes an update for two; what it says in words counts it once
    ("Records: 3  Duplicates: 1  Warnings: 0"). Elsewhere `rowcount` is right.
    """
    result = getattr(connection.connection.dbapi_connection, "_result", None)
    said = _RECORDS.search(result.message or b"") if result is not None else None
    return int(said[1]) if said else rowcount


def error_number(error: BaseException) -> int | None:
    """Return the server's or client's error number, if the error carries one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    arguments = getattr(original, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_out_of_capacity(error: BaseException) -> bool:
    """Say whether the server refused because it has no connection to give."""
    return error_number(error) in NO_CAPACITY


def is_away(error: BaseException) -> bool:
    """Say whether no server answered, or the connection was lost."""
    return error_number(error) in AWAY | READ_ONLY or (isinstance(error, DBAPIError) and error.connection_invalidated)


def is_contention(error: BaseException) -> bool:
    """Say whether the transaction lost to another one and may be tried again.

    On SQLite that is a database that stayed locked longer than its busy time-out.
    """
    return error_number(error) in CONTENDED or "database is locked" in str(error)
