"""Units of work: borrow a connection, use it, give it back; the only place that commits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from poolproof import deadlines
from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.execution_options import AUTOCOMMIT, READ_ONLY

Result = TypeVar("Result")

ConnectionFactory = Callable[[], AbstractContextManager[Connection]]
"""Borrows a connection for the length of a block, as `UnitOfWork.read` does."""

MAX_ATTEMPTS = 5
INITIAL_BACKOFF = 0.005
"""Seconds; doubled after every lost try, with jitter."""


class UnitOfWork:
    """Units of work on one engine, inside and outside of requests."""

    def __init__(self, engine: Engine) -> None:
        """Borrow from `engine`; nothing is opened yet."""
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Borrow a connection for reading; a statement that writes is refused.

        Each statement is a round trip and nothing else. Each sees what was committed before it
        began, as it would in a transaction too (read committed). When the connection breaks, the
        statement is asked once more on a new one in its place.
        """
        with self.engine.connect() as connection:
            connection.execution_options(**{READ_ONLY: True})
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Borrow a connection and commit at the end, or roll back and raise.

        The transaction begins with the first statement; without one, nothing is sent.
        """
        with self.engine.connect() as connection:
            yield connection
            connection.commit()

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Borrow a connection whose every statement is a transaction of its own: one round trip for one write."""
        with self.engine.connect() as connection:
            connection.execution_options(**{AUTOCOMMIT: True})
            yield connection

    def run_in_transaction(self, operation: Callable[[Connection], Result], *, idempotent: bool = False) -> Result:
        """Do `deed` in a transaction, and again from its start when another transaction got in its way.

        A deadlock or a lock wait rolls the whole transaction back on the server, so a deed
        that touches nothing but its connection may be repeated. When the connection is lost, nobody
        knows whether the server has committed: only an `idempotent` deed, which may take effect
        twice as well as once, is repeated then. Nothing is held between tries, and there is none
        after the deadline.
        """
        for lost in range(MAX_ATTEMPTS - 1):
            taken: Any = None
            try:
                with self.transaction() as connection:
                    taken = connection.connection.dbapi_connection
                    return operation(connection)
            except DBAPIError as error:
                may_repeat = mysql_errors.is_contention(error) or (
                    idempotent and mysql_errors.is_connection_lost(error)
                )
                if not may_repeat or deadlines.remaining() == 0 or getattr(taken, "killed_by_operator", False):
                    raise
            time.sleep(INITIAL_BACKOFF * 2**lost * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        with self.transaction() as connection:
            return operation(connection)
