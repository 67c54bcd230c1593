"""A PostgreSQL for poolproof's tests, databases on it, and engines as an application would make them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url, text

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from webapp.lab.services.postgresql_server import PostgresqlServer

_numbers = itertools.count(1)


def new_database(server: PostgresqlServer, driver: str = "psycopg") -> URL:
    """Return the address of an empty database, whose owner is an ordinary role of the same name."""
    name = f"app_{next(_numbers)}"
    server.create_database(name, owner=name)
    return make_url(server.url(name, name, driver))


@contextmanager
def engine_on(url: URL, **settings: Any) -> Iterator[Engine]:
    """Yield an engine with our pool, whose connections all come back until the end."""
    with _disposed(_engine(url, PoolSettings(**{"size": 2, **settings}))) as engine:
        yield engine


def all_slots_are_there(engine: Engine, size: int) -> bool:
    """Say whether so many connections can be checked out at once, each of which answers."""
    with ExitStack() as held:
        connections = [held.enter_context(engine.connect()) for _ in range(size)]
        return [connection.execute(text("SELECT 1")).scalar_one() for connection in connections] == [1] * size


def _engine(url: URL, settings: PoolSettings) -> Engine:
    engine = create_engine(url, **engine_options(settings, url, threads=4))
    configure_engine(engine, settings)
    return engine


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
        assert engine.pool.checkedout() == 0, engine.pool.status()  # type: ignore[attr-defined]
    finally:
        engine.dispose()
