"""PyMySQL's connection as the pool needs it: explicit transactions, a session of its own, every wait bounded.

**PyMySQL's private parts** are touched in this module and nowhere else.
tests/unit/poolproof/test_private_parts.py checks that each exists in the installed version and means this:

- `Connection._read_timeout`: seconds for each read, looked at before each of them
- `Connection._sock`: the socket, or None once it is closed; over TLS the one that speaks it
- `Connection._result`: the result of the last statement: `message`, `warning_count`, whether rows are unread
- `Connection._read_query_result(unbuffered)` (overridden): reads what a statement returns into `_result`
- `Connection._read_packet()`: reads one packet of the server
- `Connection._read_ok_packet()` (overridden): reads the reply to BEGIN, COMMIT, ROLLBACK, SET AUTOCOMMIT and a ping
- `MySQLResult._read_load_local_packet(packet)` (overridden): answers the server's request for a file
- `MySQLResult._read_ok_packet(packet)`: takes the counts and the session's status from the final packet
"""

from __future__ import annotations

import socket
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, SERVER_STATUS
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.drivers.connect_state import connect_in_progress
from poolproof.drivers.mysql.session_setup import READ_COMMITTED, init_session_statement
from poolproof.drivers.mysql.session_tracking import reports_change
from poolproof.settings import PoolSettings

AUTOCOMMIT = "AUTOCOMMIT"
"""SQLAlchemy's name for a session whose every statement is a transaction of its own."""

_READ_ONLY_VARIABLES = "'read_only', 'super_read_only', 'innodb_read_only', 'transaction_read_only', 'tx_read_only'"

LOCAL_INFILE_CHUNK_SIZE = 64 * 1024
"""Bytes of LOAD DATA content sent in one packet."""

TCP_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""Seconds of silence before the first probe, seconds between two, and how many may be lost."""


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
    SELECT, which may have begun a transaction. So an isolation level is set without leaving autocommit mode.

    The server also reports, in the same status, that a statement has changed the session: a system variable, a user
    variable that SET assigns, a temporary table, the schema, a prepared statement (`session_track_state_change`).
    """

    last_reply_at = 0.0
    """When the server last replied to a statement, on the monotonic clock."""
    statement_count = 0
    """How many statements were sent to the server."""
    killed_by_operator = False
    """Whether an operator has killed this connection: what it was doing is not to be repeated."""
    server_version: str
    _sock: Any
    query_started_at: float | None = None
    """When the running statement was sent, on the monotonic clock; None while none runs."""
    local_infile_content: bytes | None = None
    """What the next LOAD DATA LOCAL loads."""
    session_changed = False
    """Whether a statement has changed the session, so that the next borrower must not get it."""
    isolation_level = READ_COMMITTED
    """The level in use, by SQLAlchemy's name; AUTOCOMMIT is one of them."""
    pool_entry: weakref.ref[ConnectionPoolEntry] | None = None
    """The pool's record of this connection; None once it is detached."""
    _result: Any
    _default_isolation_level = READ_COMMITTED
    _is_initialized = False
    server_status = 0

    def __init__(self, *args: Any, client_flag: int = 0, **kwargs: Any) -> None:
        """Allow LOAD DATA LOCAL; the server never gets a file for it (see `LocalInfileResult`). Track the session."""
        flags = client_flag | CLIENT.LOCAL_FILES | CLIENT.SESSION_TRACK
        super().__init__(*args, client_flag=flags, **kwargs)

    @property
    def last_warning_count(self) -> int:
        """How many warnings the last statement has made."""
        return int(self._result.warning_count)

    @property
    def is_autocommit(self) -> bool:
        """Whether the caller wants no transactions: every statement commits by itself."""
        return self.isolation_level == AUTOCOMMIT

    def is_reusable(self) -> bool:
        """Say whether another caller may have the connection: open, all is read, its session as at the beginning."""
        flags = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT | SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return (
            self.open
            and not self.session_changed
            and self.server_status & flags == SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
            and self.isolation_level == self._default_isolation_level
            and not self._has_unread_rows()
        )

    def connect(self, sock: Any = None) -> None:
        """Connect and authenticate; the session is a new one."""
        self.isolation_level = self._default_isolation_level = READ_COMMITTED
        self._is_initialized = False
        with connect_in_progress():
            super().connect(sock)

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
        """Roll back, if a transaction is open; with rows unread, close: they would all have to be read before."""
        if self._has_unread_rows():
            self.close()
        else:
            self._end_transaction(super().rollback)

    def close(self) -> None:
        """Close; what is unread stays so. What is closed already stays closed."""
        if self._sock is None:
            return
        if self._has_unread_rows():
            # Their cursor may be closed later, and would read them from a socket that is gone.
            self._result.unbuffered_active = self._result.has_next = False
        self.server_status = 0
        super().close()

    def reconnect(self, connect_timeout: float) -> None:
        """Connect again in the same object; no transaction may be open. The new session is not set up yet."""
        with suppress(pymysql.err.Error):
            self.close()
        set_read_timeout(self, connect_timeout)
        self.connect()

    def use_isolation_level(self, level: str) -> None:
        """Use a transaction isolation level: for good before `init_session`, afterwards until it is restored."""
        if not self._is_initialized:
            self._default_isolation_level = self.isolation_level = level
            return
        if _server_level(level) != _server_level(self.isolation_level):
            changed_before = self.session_changed
            with self.cursor() as cursor:
                cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {_server_level(level)}")
            self.session_changed = changed_before
        self.isolation_level = level

    def restore_isolation_level(self) -> None:
        """Use again the level that the connection began with."""
        self.use_isolation_level(self._default_isolation_level)

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

    def accepts_no_writes(self, seconds: float, read_timeout: float) -> bool:
        """Ask the server whether it is read-only, for `seconds` at most. Afterwards `read_timeout` applies again."""
        set_read_timeout(self, seconds)
        try:
            with self.cursor() as cursor:
                # By name, and not @@super_read_only: no server has all of them.
                cursor.execute(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_READ_ONLY_VARIABLES})")
                return any(value != "OFF" for _, value in cursor.fetchall())
        except (pymysql.err.Error, OSError):
            return False
        finally:
            set_read_timeout(self, read_timeout)

    def init_session(self, settings: PoolSettings) -> None:
        """Set up a new session with one SET, and allow the time of statements instead of that of handshakes."""
        set_read_timeout(self, settings.read_timeout)
        with self.cursor() as cursor:
            level = _server_level(self._default_isolation_level)
            cursor.execute(init_session_statement(self.server_version, settings, level))
        self._is_initialized = True

    def lift_time_limits(self) -> None:
        """Let statements of this session take any time, as a migration needs it.

        TCP's keep-alive finds a machine that is gone, and keeps firewalls from forgetting a connection that is silent.
        """
        variable = "max_statement_time" if "MariaDB" in self.server_version else "max_execution_time"
        with self.cursor() as cursor:
            cursor.execute(f"SET SESSION {variable} = 0")
        set_read_timeout(self, None)
        if self._sock.family != socket.AF_UNIX:
            # Systems other than Linux lack some of these.
            for option, value in TCP_KEEPALIVE.items():
                if hasattr(socket, option):
                    self._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def abort(self) -> None:
        """Break the connection, from any thread: whoever waits for the server gets an error at once."""
        if (sock := self._sock) is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which would also take away what the other thread reads by.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002 - PyMySQL's signature
        if unbuffered:
            super()._read_query_result(unbuffered)  # type: ignore[misc]
        else:
            self._result = None
            local: Any = LocalInfileResult(self, self.local_infile_content)
            local.read()
            self._result = local
        result = self._result
        # Only a statement that returns no rows reports the session's status.
        if result.server_status is not None:
            self._record_status(result)
        return int(result.affected_rows)

    def _read_ok_packet(self) -> Any:
        reply = super()._read_ok_packet()  # type: ignore[misc]
        self._record_status(reply)
        return reply

    def _record_status(self, reply: Any) -> None:
        self.server_status = reply.server_status
        if reports_change(reply.server_status, reply.message):
            self.session_changed = True

    def _has_unread_rows(self) -> bool:
        result = self._result
        return result is not None and bool(result.unbuffered_active or result.has_next)

    def _end_transaction(self, end: Callable[[], None]) -> None:
        if not self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
            return
        self.statement_count += 1
        self.query_started_at = time.monotonic()
        try:
            end()
        finally:
            self.query_started_at = None
            self.last_reply_at = time.monotonic()


def _server_level(level: str) -> str:
    return READ_COMMITTED if level == AUTOCOMMIT else level


def set_read_timeout(connection: Any, seconds: float | None) -> None:
    """Bound each further read on this connection; None: it may take any time.

    PyMySQL offers no setter, but looks at this before each read.
    """
    connection._read_timeout = seconds
