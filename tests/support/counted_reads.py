"""A reader of the database that counts, and can pretend that the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from poolproof.transactions.unit_of_work import UnitOfWork


class CountedReads:
    """Reads of a test's own, counted; and a database that can be away."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.count = 0
        self.is_away = False

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        if self.is_away:
            raise OperationalError("SELECT", {}, Exception("away"))
        self.count += 1
        with self.work.read() as connection:
            yield connection
