"""What the pool needs of a PostgreSQL connection beside its driver: what it is doing, and whether its session changed.

Where the pool owns the session, the connection is in autocommit mode, so that a lone SELECT is one round trip, and a
transaction begins with an explicit BEGIN (see `configuration`). libpq knows from each reply whether a transaction is
open, so COMMIT and ROLLBACK are sent only where there is one.

What has changed a session is known without a round trip, by two things that libpq has read anyway: the server reports
the values of some parameters whenever they change (ParameterStatus), and says with each result which command it was.
`DISCARD ALL` at each return would be a round trip, and would drop the plans that the session has cached.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.drivers.postgresql.reply_timeouts import reply_timeouts, shut_down

if TYPE_CHECKING:
    Base = Any
else:
    Base = object

READ_COMMITTED, AUTOCOMMIT_LEVEL = "READ COMMITTED", "AUTOCOMMIT"
"""SQLAlchemy's names of levels; in the second one every statement is a transaction of its own."""
NO_TRANSACTION = 0
"""libpq's PQTRANS_IDLE."""
REPORTED_PARAMETERS = (
    "TimeZone", "DateStyle", "IntervalStyle", "client_encoding", "standard_conforming_strings", "application_name",
    "session_authorization", "default_transaction_read_only", "search_path",
)  # fmt: skip
"""Of those that the server reports, the ones that a caller may change; `search_path` since PostgreSQL 18."""
CHANGING_COMMANDS = ("SET", "RESET", "LISTEN", "PREPARE", "LOAD", "DISCARD", "CREATE")
"""Commands after which a session may be another one. CREATE may have made a temporary table, which its tag hides."""
TRANSACTION_ONLY = ("SET LOCAL", "SET TRANSACTION", "SET CONSTRAINTS")
"""Statements whose effect ends with the transaction, although their command is SET."""
_LONGEST_PREFIX = max(map(len, TRANSACTION_ONLY))


class TrackedSession(Base):
    """Mixed into a driver's connection."""

    last_reply_at = 0.0
    """When the server last replied to a statement, on the monotonic clock."""
    statement_count = 0
    """How many statements were sent to the server."""
    query_started_at: float | None = None
    """When the running statement was sent, on the monotonic clock; None while none runs."""
    killed_by_operator = False
    """Whether an operator has ended this connection: what it was doing is not to be repeated."""
    pool_entry: weakref.ref[ConnectionPoolEntry] | None = None
    """The pool's record of this connection; None once it is detached."""
    reply_timeout: float | None = None
    """Seconds that the server may take to reply; None: any time."""
    reply_due_at: float | None = None
    """When the present reply is overdue, on the monotonic clock."""
    timed_out = False
    """Whether the connection was broken because a reply was overdue."""
    server_start = 0.0
    """When the server was started, in its own seconds since 1970."""
    idle_session_timeout: int | None = None
    """Seconds after which the server closes an idle session; None: never."""
    is_behind_pooler = False
    """Whether something between here and the server gives the sessions of the server to others as well."""
    ping_statement = ";"
    """An empty statement: the server parses and plans nothing."""
    is_owned = False
    """Whether the pool sets up the session and begins its transactions."""
    level = READ_COMMITTED
    """The isolation level in use, by SQLAlchemy's name; AUTOCOMMIT is one of them."""
    _default_level = READ_COMMITTED
    _is_initialized = False
    _has_changed = False
    _initial_parameters: tuple[str | None, ...] | None = None

    @property
    def open(self) -> bool:
        """Whether the connection can be used."""
        return not self.closed

    @property
    def is_autocommit(self) -> bool:
        """Whether the caller wants no transactions: every statement commits by itself."""
        return self.level == AUTOCOMMIT_LEVEL

    @property
    def session_changed(self) -> bool:
        """Whether a command has changed the session, so that the next borrower must not get it."""
        return self._has_changed

    @session_changed.setter
    def session_changed(self, has_changed: bool) -> None:
        self._has_changed = has_changed
        if not has_changed and self._initial_parameters is None:
            # At the first checkout: what listeners of `connect` have set belongs to the session.
            self._initial_parameters = self._reported_parameters()

    def thread_id(self) -> int:
        """Return the process id of the session on the server (PyMySQL's name); a pooler makes up a number."""
        return int(self.info.backend_pid)

    def own(self, reply_timeout: float) -> None:
        """Begin to own the session: autocommit, and a bound for each reply."""
        self.is_owned = True
        self.autocommit = True
        self.reply_timeout = reply_timeout

    def is_reusable(self) -> bool:
        """Say whether another caller may have the connection: open, no transaction, its session as at the beginning."""
        return (
            self.open
            and not self._has_changed
            and not self.timed_out
            and self.transaction_status() == NO_TRANSACTION
            and self.level == self._default_level
            and self._initial_parameters in {None, self._reported_parameters()}
        )

    def transaction_status(self) -> int:
        """Return libpq's status of the transaction."""
        return int(self.info.transaction_status)

    def use_isolation_level(self, level: str) -> None:
        """Use a transaction isolation level: for good before the session is set up, afterwards until it is restored.

        Nothing is sent: the next BEGIN names it.
        """
        self.level = level
        if not self._is_initialized:
            self._default_level = level

    def restore_isolation_level(self) -> None:
        """Use again the level that the connection began with."""
        self.level = self._default_level

    def finish_setup(self) -> None:
        """Record that the session is set up: what is changed from now on is a caller's doing."""
        self._is_initialized = True

    def begin_statement(self) -> str:
        """Return the statement that begins a transaction as its caller wants it."""
        is_named = self.level not in {READ_COMMITTED, AUTOCOMMIT_LEVEL}
        return " ".join(["BEGIN", *([f"ISOLATION LEVEL {self.level}"] if is_named else []), *self._begin_options()])

    def responds_within(self, seconds: float, read_timeout: float) -> bool:
        """Ping the server, outside of any transaction; say whether it answers within `seconds`."""
        count, timeout, autocommit = self.statement_count, self.reply_timeout, self.autocommit
        try:
            if not autocommit:
                self.autocommit = True
            self.reply_timeout = seconds
            self.run_statement(self.ping_statement)
            if not autocommit:
                self.autocommit = False
        except Exception:  # noqa: BLE001 - the driver's or the socket's: it did not answer
            return False
        finally:
            self.statement_count, self.reply_timeout = count, timeout
        return self.open

    def accepts_no_writes(self, seconds: float, read_timeout: float) -> bool:
        """Say whether the server is read-only, by what it has reported of itself; nothing is sent.

        The transaction of an error that may mean so has failed and takes no question. Where the caller may have made
        its own session read-only, only recovery counts.
        """
        if self.info.parameter_status("in_hot_standby") == "on":
            return True
        by_caller = self._has_changed or self._wants_read_only()
        return not by_caller and self.info.parameter_status("default_transaction_read_only") == "on"

    def abort(self) -> None:
        """Break the connection, from any thread: whoever waits for the server gets an error at once."""
        shut_down(self)

    def break_off(self) -> None:
        """Break the connection because the reply is overdue."""
        self.reply_due_at = None
        self.timed_out = True
        self.abort()

    def begin_wait(self) -> None:
        """Record that a statement is sent."""
        self.query_started_at = time.monotonic()
        if self.reply_timeout is not None:
            reply_timeouts.await_reply(self, self.reply_timeout)

    def end_wait(self) -> None:
        """Record that the reply is there, or will not come."""
        self.reply_due_at = self.query_started_at = None
        self.last_reply_at = time.monotonic()

    def explain(self, error: BaseException) -> None:
        """Give an error its cause where the connection was broken because a reply was overdue."""
        if self.timed_out and error.__context__ is None:
            error.__context__ = TimeoutError("The server did not reply in time.")

    def record_command(self, tag: str | None, statement: Any) -> None:
        """Record what a statement has done to the session, by the tag of its command."""
        if tag is not None and tag.startswith(CHANGING_COMMANDS) and not _ends_with_transaction(statement):
            self._has_changed = True

    def run_statement(self, statement: str) -> None:
        """Execute a statement that returns nothing."""
        with self.cursor() as cursor:
            cursor.execute(statement)

    def _begin_options(self) -> list[str]:
        return []

    def _wants_read_only(self) -> bool:
        return False

    def _reported_parameters(self) -> tuple[str | None, ...]:
        status = self.info.parameter_status
        return tuple([status(name) for name in REPORTED_PARAMETERS])


class TrackedCursor(Base):
    """Mixed into a driver's cursor: counts what is sent, and sees what it does to the session."""

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Execute a statement."""
        connection = self.connection
        connection.statement_count += 1
        result = self._within(super().execute, query, *args, **kwargs)
        connection.record_command(self.statusmessage, query)
        return result

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Execute a statement for many rows."""
        self.connection.statement_count += 1
        return self._within(super().executemany, query, *args, **kwargs)

    def _within(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what sends a statement."""
        return call(*args, **kwargs)


def _ends_with_transaction(statement: Any) -> bool:
    if not isinstance(statement, str):
        return False
    beginning = " ".join(statement.lstrip()[: 2 * _LONGEST_PREFIX].upper().split())
    return beginning.startswith(TRANSACTION_ONLY)
