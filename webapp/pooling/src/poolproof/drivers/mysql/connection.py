"""PyMySQL's connection as the pool needs it: explicit transactions, a session of its own, every wait bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, SERVER_STATUS
from sqlalchemy import URL, Connection

from poolproof.drivers.connect_state import connect_state
from poolproof.drivers.mysql import tls
from poolproof.settings import PoolSettings

LOCAL_INFILE_CHUNK_SIZE = 64 * 1024
"""Bytes sent at once of what is loaded."""

_RECORDS_PATTERN = re.compile(rb"Records: (\d+)")


class LocalInfileResult(MySQLResult):
    """What a server answers; when it asks for a file it is sent what we have made, else nothing."""

    def __init__(self, connection: Any, content: bytes | None) -> None:
        """Send `local_infile_content` when the server asks."""
        super().__init__(connection)
        self._content = content

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: Any = self.connection
        content = self._content or b""
        for start in range(0, len(content), LOCAL_INFILE_CHUNK_SIZE):
            connection.write_packet(content[start : start + LOCAL_INFILE_CHUNK_SIZE])
        # An empty one ends it; the server answers in any case, with a count or with an error.
        connection.write_packet(b"")
        self._read_ok_packet(connection._read_packet())  # type: ignore[attr-defined]  # noqa: SLF001
        if self._content is None:
            raise pymysql.err.NotSupportedError("The server has asked for a file of this machine, and got nothing.")


class TrackedConnection(pymysql.Connection):
    """A connection that ends a transaction only where there is one, and knows what it is doing.

    It is in autocommit, so that a lone SELECT is one round trip, and a transaction begins with
    an explicit BEGIN (see `engine`). Then the server says with its answer to BEGIN that one is
    open, and with those to COMMIT and ROLLBACK that none is. In the other mode PyMySQL could
    not be believed: it drops the status that ends a SELECT, which may have begun one.
    """

    last_reply_at = 0.0
    """When the server last answered a statement, on the monotonic clock."""
    statement_count = 0
    """How many statements the server was sent."""
    killed_by_operator = False
    """Whether an operator has ended what is under way here: it is not to be tried again."""
    server_version: str
    query_started_at: float | None = None
    """Since when the server has owed an answer, on the monotonic clock; None while it owes none."""
    local_infile_content: bytes | None = None
    """What the next LOAD DATA LOCAL is given."""

    def __init__(self, *args: Any, client_flag: int = 0, **kwargs: Any) -> None:
        """Let the server ask for what is to be loaded; for a file it asks in vain (see `Answer`)."""
        super().__init__(*args, client_flag=client_flag | CLIENT.LOCAL_FILES, **kwargs)

    def connect(self, sock: Any = None) -> None:
        """Connect and sign in."""
        connect_state.in_progress = True
        try:
            super().connect(sock)
        finally:
            connect_state.in_progress = False

    def query(self, sql: Any, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        """Send a statement and read what comes first."""
        self.statement_count += 1
        self.query_started_at = time.monotonic()
        try:
            affected: int = super().query(sql, unbuffered)
        finally:
            self.query_started_at = None
            self.last_reply_at = time.monotonic()
        return affected

    def commit(self) -> None:
        """Commit, if there is anything to commit."""
        self._end_transaction(super().commit)

    def rollback(self) -> None:
        """Roll back, if there is anything to roll back."""
        self._end_transaction(super().rollback)

    def reconnect(self, settings: PoolSettings) -> None:
        """Connect again in the same place, with a session like the first; nothing may have been under way."""
        with suppress(pymysql.err.Error):
            self.close()
        set_read_timeout(self, settings.connect_timeout)
        self.connect()
        self.init_session(settings)

    def responds_within(self, seconds: float, read_timeout: float) -> bool:
        """Ping the server: whether it answers within `seconds`; afterwards `read_timeout` bounds each answer again."""
        set_read_timeout(self, seconds)
        try:
            self.ping(reconnect=False)
        except (pymysql.err.Error, OSError):
            return False
        finally:
            set_read_timeout(self, read_timeout)
        return True

    def init_session(self, settings: PoolSettings) -> None:
        """Make a fresh session ours: one SET, and time for statements instead of handshakes."""
        set_read_timeout(self, settings.read_timeout)
        with self.cursor() as cursor:
            cursor.execute(init_session_statement(self.server_version, settings))

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        if unbuffered:
            affected: int = super()._read_query_result(unbuffered)  # type: ignore[misc]
            return affected
        self._result = None
        answer: Any = LocalInfileResult(self, self.local_infile_content)
        answer.read()
        self._result = answer
        # Only what changes something says how the session stands.
        if answer.server_status is not None:
            self.server_status = answer.server_status
        return int(answer.affected_rows)

    def _end_transaction(self, step: Callable[[], None]) -> None:
        # Not known before the first answer; then the question costs nothing.
        if not getattr(self, "server_status", 0) & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
            return
        self.statement_count += 1
        self.query_started_at = time.monotonic()
        try:
            step()
        finally:
            self.query_started_at = None
            self.last_reply_at = time.monotonic()


def connect_args(settings: PoolSettings, url: URL) -> dict[str, Any]:
    """Return PyMySQL's arguments: every wait is bounded and TLS is decided once."""
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        # Until it is signed in; `set_read_timeout` lengthens it. A peer that accepts and stays mute costs no more.
        "read_timeout": settings.connect_timeout,
        "write_timeout": settings.write_timeout,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    if tls.is_enabled(settings, url):
        arguments["ssl"] = tls.shared_ssl_context(settings.tls_ca)
    else:
        # Otherwise PyMySQL builds a context at every connect: 28 ms instead of 0.5.
        arguments["ssl_disabled"] = True
    return arguments


def init_session_statement(server_version: str, settings: PoolSettings) -> str:
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


def set_read_timeout(connection: Any, seconds: float) -> None:
    """Bound each further answer on this connection. PyMySQL offers no setter, but looks at this before each read."""
    connection._read_timeout = seconds  # noqa: SLF001


def insert_select_row_count(connection: Connection, rowcount: int) -> int:
    """Return how many rows the INSERT … SELECT that `connection` has just executed has inserted or updated.

    MySQL's count of affected rows takes an update for two; what it says in words counts it once
    ("Records: 3  Duplicates: 1  Warnings: 0"). Elsewhere `rowcount` is right.
    """
    result = getattr(connection.connection.dbapi_connection, "_result", None)
    said = _RECORDS_PATTERN.search(result.message or b"") if result is not None else None
    return int(said[1]) if said else rowcount
