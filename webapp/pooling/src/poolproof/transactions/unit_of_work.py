"""Units of work: check out a connection, use it, return it. Beside group commit, the only place that commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from poolproof import deadlines
from poolproof.drivers import session
from poolproof.drivers.errors import TransientCause, transient_cause
from poolproof.execution_options import READ_ONLY, TRANSACTION
from poolproof.runtime.backoff import Backoff
from poolproof.transactions import outcomes

Result = TypeVar("Result")

ConnectionFactory = Callable[[], AbstractContextManager[Connection]]
"""Borrows a connection for the length of a block, as `UnitOfWork.read` does."""

MAX_ATTEMPTS = 5
INITIAL_BACKOFF = 0.005
"""Seconds before the second attempt; doubled for each further one, with jitter."""


class UnitOfWork:
    """Units of work on one engine, inside and outside of requests."""

    def __init__(self, engine: Engine) -> None:
        """Check connections out of `engine`; nothing is opened yet."""
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Check out a connection for reading; a statement that writes is refused.

        Each statement is one round trip and nothing else. Each sees what was committed before it began, as it would in
        a transaction too (read committed). When the connection breaks, the statement is executed again on a new one.
        """
        with self.engine.connect() as connection:
            connection.execution_options(**{READ_ONLY: True})
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Check out a connection and commit at the end, or roll back and raise.

        The transaction begins with the first statement; without one, nothing is sent.
        """
        with self.engine.connect() as connection:
            unit = outcomes.begin_transaction(connection)
            connection.execution_options(**{TRANSACTION: True})
            yield connection
            with outcomes.committing(connection, unit):
                connection.commit()

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Check out a connection whose every statement is a transaction of its own: one round trip for one write.

        Raises:
            PoolUsageError: when the engine's driver is not known here and has no autocommit.
        """
        with self.engine.connect() as connection:
            session.use_autocommit(connection)
            with outcomes.autocommitted(connection):
                yield connection

    def run_in_transaction(self, operation: Callable[[Connection], Result], *, idempotent: bool = False) -> Result:
        """Run `operation` in a transaction, and again from its start when another transaction got in its way.

        A deadlock or a lock wait rolls the whole transaction back on the server, so an operation that touches nothing
        but its connection may be repeated. When the connection is lost, it is not known whether the server has
        committed: only an `idempotent` operation, which may take effect twice as well as once, is repeated then. No
        connection is held between attempts, and there is no further attempt after the deadline.
        """
        # What was uncertain of an attempt does not matter once its repeat has been committed.
        with outcomes.repeated():
            return self._run_attempts(operation, idempotent=idempotent)

    def _run_attempts(self, operation: Callable[[Connection], Result], *, idempotent: bool) -> Result:
        backoff = Backoff(INITIAL_BACKOFF)
        for _ in range(MAX_ATTEMPTS - 1):
            dbapi_connection: Any = None
            try:
                with self.transaction() as connection:
                    dbapi_connection = connection.connection.dbapi_connection
                    return operation(connection)
            except DBAPIError as error:
                was_killed = getattr(dbapi_connection, "killed_by_operator", False)
                if not _may_repeat(error, idempotent=idempotent) or deadlines.remaining() == 0 or was_killed:
                    raise
            backoff.sleep()
        with self.transaction() as connection:
            return operation(connection)


def _may_repeat(error: DBAPIError, *, idempotent: bool) -> bool:
    # Fewer causes than elsewhere, on purpose: a request waits meanwhile, so a server that is full, slow or gone is
    # reported at once, and its client decides whether to come back.
    cause = transient_cause(error)
    return cause is TransientCause.CONTENTION or (idempotent and cause is TransientCause.CONNECTION_LOST)
