"""PyMySQL's connection as the pool needs it: explicit transactions, a session of its own, every wait bounded.

**PyMySQL's private parts** are touched in this module and nowhere else.
tests/unit/poolproof/test_private_parts.py checks that each exists in the installed version and means this:

- `Connection._read_timeout`: seconds for each read, looked at before each of them
- `Connection._result`: the result of the last buffered statement: `message`, `warning_count`
- `Connection._read_query_result(unbuffered)` (overridden): reads what a statement returns into `_result`
- `Connection._read_packet()`: reads one packet of the server
- `MySQLResult._read_load_local_packet(packet)` (overridden): answers the server's request for a file
- `MySQLResult._read_ok_packet(packet)`: takes the counts and the session's status from the final packet
"""

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
from poolproof.drivers.mysql.session_setup import init_session_statement
from poolproof.settings import PoolSettings

LOCAL_INFILE_CHUNK_SIZE = 64 * 1024
"""Bytes of LOAD DATA content sent in one packet."""

_RECORDS_PATTERN = re.compile(rb"Records: (\d+)")


class LocalInfileResult(MySQLResult):
    """A result that answers the server's request for a local file with content from memory, never with a file."""

    def __init__(self, connection: Any, content: bytes | None) -> None:
        """Send `content` when the server asks; None: send nothing and raise."""
        super().__init__(connection)
        self._content = content

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: Any = self.connection
        content = self._content or b""
        for start in range(0, len(content), LOCAL_INFILE_CHUNK_SIZE):
            connection.write_packet(content[start : start + LOCAL_INFILE_CHUNK_SIZE])
        # An empty packet ends the content; the server answers in any case, with a count or with an error.
        connection.write_packet(b"")
        self._read_ok_packet(connection._read_packet())  # type: ignore[attr-defined]
        if self._content is None:
            raise pymysql.err.NotSupportedError("The server has asked for a file of this machine, and got nothing.")


class TrackedConnection(pymysql.Connection):
    """A connection that ends a transaction only where there is one, and tracks what it is doing.

    It is in autocommit mode, so that a lone SELECT is one round trip, and a transaction begins with an explicit BEGIN
    (see `engine`). The server reports with its reply to BEGIN that a transaction is open, and with those to COMMIT and
    ROLLBACK that none is. Without autocommit PyMySQL's status would be wrong: it drops the status packet that ends a
    SELECT, which may have begun a transaction.
    """

    last_reply_at = 0.0
    """When the server last replied to a statement, on the monotonic clock."""
    statement_count = 0
    """How many statements were sent to the server."""
    killed_by_operator = False
    """Whether an operator has killed this connection: what it was doing is not to be repeated."""
    server_version: str
    query_started_at: float | None = None
    """When the running statement was sent, on the monotonic clock; None while none runs."""
    local_infile_content: bytes | None = None
    """What the next LOAD DATA LOCAL loads."""

    def __init__(self, *args: Any, client_flag: int = 0, **kwargs: Any) -> None:
        """Allow LOAD DATA LOCAL; the server never gets a file for it (see `LocalInfileResult`)."""
        super().__init__(*args, client_flag=client_flag | CLIENT.LOCAL_FILES, **kwargs)

    @property
    def last_warning_count(self) -> int:
        """How many warnings the last statement has made."""
        result: Any = self._result
        return int(result.warning_count)

    def connect(self, sock: Any = None) -> None:
        """Connect and authenticate."""
        connect_state.in_progress = True
        try:
            super().connect(sock)
        finally:
            connect_state.in_progress = False

    def query(self, sql: Any, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        """Send a statement and read its first result."""
        self.statement_count += 1
        self.query_started_at = time.monotonic()
        try:
            affected: int = super().query(sql, unbuffered)
        finally:
            self.query_started_at = None
            self.last_reply_at = time.monotonic()
        return affected

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        self._end_transaction(super().commit)

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        self._end_transaction(super().rollback)

    def reconnect(self, settings: PoolSettings) -> None:
        """Connect again in the same object, with a session set up like the first; no transaction may be open."""
        with suppress(pymysql.err.Error):
            self.close()
        set_read_timeout(self, settings.connect_timeout)
        self.connect()
        self.init_session(settings)

    def responds_within(self, seconds: float, read_timeout: float) -> bool:
        """Ping the server; say whether it answers within `seconds`. Afterwards `read_timeout` applies again."""
        set_read_timeout(self, seconds)
        try:
            self.ping(reconnect=False)
        except (pymysql.err.Error, OSError):
            return False
        finally:
            set_read_timeout(self, read_timeout)
        return True

    def init_session(self, settings: PoolSettings) -> None:
        """Set up a new session with one SET, and allow the time of statements instead of that of handshakes."""
        set_read_timeout(self, settings.read_timeout)
        with self.cursor() as cursor:
            cursor.execute(init_session_statement(self.server_version, settings))

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        if unbuffered:
            affected: int = super()._read_query_result(unbuffered)  # type: ignore[misc]
            return affected
        self._result = None
        result: Any = LocalInfileResult(self, self.local_infile_content)
        result.read()
        self._result = result
        # Only a statement that returns no rows reports the session's status.
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows)

    def _end_transaction(self, end: Callable[[], None]) -> None:
        # There is no status before the first reply, and no transaction either.
        if not getattr(self, "server_status", 0) & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
            return
        self.statement_count += 1
        self.query_started_at = time.monotonic()
        try:
            end()
        finally:
            self.query_started_at = None
            self.last_reply_at = time.monotonic()


def connect_args(settings: PoolSettings, url: URL) -> dict[str, Any]:
    """Return PyMySQL's arguments: every wait is bounded and TLS is decided once."""
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        # Until it is authenticated; `init_session` lengthens it. A peer that accepts and stays mute costs no more.
        "read_timeout": settings.connect_timeout,
        "write_timeout": settings.write_timeout,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    if tls.is_enabled(settings, url):
        arguments["ssl"] = tls.shared_ssl_context(settings.tls_ca)
    else:
        # Otherwise PyMySQL builds an SSL context at every connect: 28 ms instead of 0.5.
        arguments["ssl_disabled"] = True
    return arguments


def set_read_timeout(connection: Any, seconds: float) -> None:
    """Bound each further read on this connection. PyMySQL offers no setter, but looks at this before each read."""
    connection._read_timeout = seconds


def insert_select_row_count(connection: Connection, rowcount: int) -> int:
    """Return how many rows the INSERT … SELECT that `connection` has just executed has inserted or updated.

    MySQL's count of affected rows counts an update twice; its message counts it once
    ("Records: 3  Duplicates: 1  Warnings: 0"). Elsewhere `rowcount` is right.
    """
    result = getattr(connection.connection.dbapi_connection, "_result", None)
    match = _RECORDS_PATTERN.search(result.message or b"") if result is not None else None
    return int(match[1]) if match else rowcount
