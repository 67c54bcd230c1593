"""What is known of a request's writes when it fails: none was done, a part was, or it is not known.

A statement that fails, or a connection that is lost, before COMMIT is sent changes nothing: the server rolls back. Once
COMMIT is sent, only its reply tells; where the reply is lost, the transaction may be stored or not. A statement in
autocommit mode is a transaction of its own, whose reply tells the same. A request that is repeated because it was told
"nothing was done" takes effect twice where that was wrong, so a unit of work records here what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poolproof.drivers import errors
from poolproof.execution_options import WRITES

READ_STATEMENT_PREFIXES = ("SELECT", "SHOW", "WITH", "EXPLAIN", "DESC", "PRAGMA", "BEGIN", "(")
_LONGEST_PREFIX = max(map(len, READ_STATEMENT_PREFIXES))


class WriteOutcome(StrEnum):
    """What is known of the writes of a request that has failed."""

    NOT_DONE = "not-done"
    """Nothing was changed."""
    PARTLY_DONE = "partly-done"
    """A transaction of the request was committed before another one failed, which changed nothing."""
    UNKNOWN = "unknown"
    """The reply to a COMMIT was lost."""


class RequestWrites:
    """What the units of work of one request have written: at first nothing."""

    has_committed = False
    is_uncertain = False

    def outcome(self) -> WriteOutcome:
        """Return what is known if the request fails now."""
        if self.is_uncertain:
            return WriteOutcome.UNKNOWN
        return WriteOutcome.PARTLY_DONE if self.has_committed else WriteOutcome.NOT_DONE


current_writes: ContextVar[RequestWrites | None] = ContextVar("poolproof_request_writes", default=None)
"""Those of the present request; None outside of requests."""


class UnitWrites:
    """The writes of one unit of work, on one connection."""

    __slots__ = ("has_committed", "has_pending", "is_autocommit")

    def __init__(self, *, is_autocommit: bool) -> None:
        """Begin with nothing; with `is_autocommit` each statement is a transaction of its own."""
        self.is_autocommit = is_autocommit
        self.has_committed = False
        self.has_pending = False
        """Whether a write was sent whose end is not known yet: that of its transaction, in autocommit mode its own."""

    def begin_statement(self, *, is_write: bool) -> None:
        """Record that a statement is about to be sent."""
        if not self.is_autocommit:
            self.has_pending = self.has_pending or is_write
            return
        # The statement before this one has succeeded: its error would have ended the unit of work.
        self.has_committed = self.has_committed or self.has_pending
        self.has_pending = is_write

    def end(self, *, is_uncertain: bool = False, is_done: bool = False) -> None:
        """Tell the present request what is known at the end of the unit of work."""
        writes = current_writes.get()
        if writes is not None:
            writes.is_uncertain = writes.is_uncertain or (is_uncertain and self.has_pending)
            writes.has_committed = writes.has_committed or self.has_committed or (is_done and self.has_pending)


def record_statement(connection: Connection, statement: str) -> None:
    """Record that a statement is about to be sent."""
    unit: UnitWrites | None = connection.get_execution_options().get(WRITES)
    if unit is not None:
        unit.begin_statement(is_write=not is_read(statement))


def is_read(statement: str) -> bool:
    """Say whether a statement only reads."""
    return statement.lstrip()[:_LONGEST_PREFIX].upper().startswith(READ_STATEMENT_PREFIXES)


def begin_transaction(connection: Connection) -> UnitWrites:
    """Record from now on what is written on `connection` in a transaction."""
    unit = UnitWrites(is_autocommit=False)
    connection.execution_options(**{WRITES: unit})
    return unit


@contextmanager
def committing(connection: Connection, unit: UnitWrites) -> Iterator[None]:
    """Record what is known of a transaction for which the block sends COMMIT."""
    try:
        yield
    except BaseException as error:
        unit.end(is_uncertain=_is_uncertain(connection, error))
        raise
    unit.end(is_done=True)


@contextmanager
def autocommitted(connection: Connection) -> Iterator[None]:
    """Record what is known of the statements of the block, each of which is a transaction of its own."""
    unit = UnitWrites(is_autocommit=True)
    connection.execution_options(**{WRITES: unit})
    try:
        yield
    except DBAPIError as error:
        unit.end(is_uncertain=_is_uncertain(connection, error))
        raise
    except BaseException:
        # Not an error of the last statement, unless it was interrupted while it ran.
        unit.end(is_uncertain=True)
        raise
    unit.end(is_done=True)


@contextmanager
def repeated() -> Iterator[None]:
    """Forget, when the block succeeds, what was uncertain within it: an attempt whose repeat has been committed."""
    writes = current_writes.get()
    was_uncertain = writes is not None and writes.is_uncertain
    yield
    if writes is not None:
        writes.is_uncertain = was_uncertain


def record_committed() -> None:
    """Record that something was committed for this request in another thread, as by a group commit."""
    if (writes := current_writes.get()) is not None:
        writes.has_committed = True


def record_undone() -> None:
    """Record that all that this request has committed so far was undone by it."""
    if (writes := current_writes.get()) is not None:
        writes.has_committed = False


def _is_uncertain(connection: Connection, error: BaseException) -> bool:
    # SQLite has no reply that could be lost.
    return connection.dialect.name != "sqlite" and not errors.is_reply(error)
