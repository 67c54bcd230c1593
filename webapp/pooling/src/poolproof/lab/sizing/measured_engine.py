"""The engine whose pool is measured: as the service makes its own, or as `create_engine` makes an application's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, make_url

from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import configure_engine, engine_options
from poolproof.lanes import background_time_limits, console_settings
from poolproof.settings import PoolSettings, with_size
from poolproof.transactions.unit_of_work import UnitOfWork

CHECKOUT_TIMEOUT = 60.0
"""Seconds that an operation waits for a connection: long, because throughput is measured and not rejections."""


class WorkOnEngine(Protocol):
    """How operations get a connection."""

    @property
    def engine(self) -> Engine:
        """The engine."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Check out a connection for reading."""
        ...

    def autocommit(self) -> AbstractContextManager[Connection]:
        """Check out a connection whose every statement is a transaction of its own."""
        ...

    def run_in_transaction(self, operation: Callable[[Connection], Any]) -> Any:
        """Run `operation` in a transaction."""
        ...


class AppWork:
    """Connections as an application has them: SQLAlchemy's transactions, and a session that nothing has changed."""

    def __init__(self, engine: Engine) -> None:
        """Use this engine."""
        self.engine = engine

    def read(self) -> AbstractContextManager[Connection]:
        """Check out a connection; what a statement changes is rolled back when it is returned."""
        return self.engine.connect()

    @contextlib.contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Check out a connection whose every statement is a transaction of its own."""
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def run_in_transaction(self, operation: Callable[[Connection], Any]) -> Any:
        """Run `operation` in a transaction."""
        with self.engine.begin() as connection:
            return operation(connection)


@contextlib.contextmanager
def open_work(url: str, pool: PoolSettings | None, size: int) -> Iterator[WorkOnEngine]:
    """Yield work on a pool of exactly `size` connections, with the service's settings or as an application has it."""
    work = _app_work(url, size) if pool is None else _service_work(url, pool, size)
    try:
        yield work
    finally:
        work.engine.dispose()


def open_setup_work(url: str, pool: PoolSettings | None) -> AbstractContextManager[WorkOnEngine]:
    """Yield work for creating and filling tables, which takes longer than what a request does."""
    return open_work(url, None if pool is None else replace(pool, **background_time_limits(pool)), 1)


def create_sampler_work(url: str, pool: PoolSettings | None) -> WorkOnEngine:
    """Return work with one connection, for reading the server's counters."""
    if pool is None:
        return _app_work(url, 1)
    settings = console_settings(pool)
    engine = create_engine(url, **engine_options(settings, make_url(url), 1))
    configure_engine(engine, settings, "sampler")
    return UnitOfWork(engine)


def _app_work(url: str, size: int) -> AppWork:
    options = {"pool_size": size, "max_overflow": 0, "pool_timeout": CHECKOUT_TIMEOUT}
    return AppWork(create_engine(url, poolclass=FairQueuePool, **options))


def _service_work(url: str, pool: PoolSettings, size: int) -> UnitOfWork:
    settings = replace(
        with_size(pool, size),
        timeout=CHECKOUT_TIMEOUT,
        request_deadline=CHECKOUT_TIMEOUT,
        max_connections_per_request=size,
        codel_target=0.0,
        max_waiting=None,
        pool_class="queue",
    )
    engine = create_engine(url, **engine_options(settings, make_url(url), size))
    configure_engine(engine, settings, "lab")
    return UnitOfWork(engine)
