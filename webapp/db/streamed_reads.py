"""Connections for a file that is read page by page while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection

from poolproof import deadlines
from poolproof.transactions.unit_of_work import ConnectionFactory, UnitOfWork


def connect_for_stream(work: UnitOfWork) -> ConnectionFactory:
    """Return what lends a connection for one page: the first within the request's deadline, the others without one.

    A file takes as long as its client needs to receive it; only its first page is part of the request's own work.
    """
    is_begun = False

    @contextmanager
    def connect() -> Iterator[Connection]:
        nonlocal is_begun
        with deadlines.without_deadline() if is_begun else nullcontext(), work.read() as connection:
            is_begun = True
            yield connection

    return connect
