"""Ways to come by a connection, each as an engine: SQLAlchemy's pools, ours, and none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, NullPool, QueuePool, SingletonThreadPool, StaticPool, create_engine, make_url

from poolproof.drivers.mysql import connection as mysql_connection
from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings

POOL_SIZE, MAX_OVERFLOW, POOL_TIMEOUT = 5, 10, 30.0
"""SQLAlchemy's own defaults."""
MAX_CONNECTIONS_PER_REQUEST = 16
"""One thread that borrows several is part of what is looked at."""
READ_TIMEOUT = 5
"""Seconds; where threads share a connection, one may wait for an answer that another has read."""


@dataclass(frozen=True)
class PoolOptions:
    """What a way is asked for: the threads it serves, the longest wait and the greatest age, in seconds."""

    threads: int
    timeout: float = POOL_TIMEOUT
    recycle: int = -1


@dataclass(frozen=True)
class PoolType:
    """A way to come by a connection."""

    name: str
    purpose: str
    create: Callable[[str, PoolOptions], Engine]
    per_request: bool = False
    """Keep the connection from a request's first query to its end, instead of giving it back after each."""


def _engine(database_url: str, **engine_arguments: Any) -> Engine:
    # With TLS as ours has it: PyMySQL's own way takes 28 ms for each connect, and that is not the pool's.
    ours = mysql_connection.connect_args(PoolSettings(), make_url(database_url))
    tls = {name: value for name, value in ours.items() if name.startswith("ssl")}
    return create_engine(database_url, connect_args={**tls, "read_timeout": READ_TIMEOUT}, **engine_arguments)


def _queue_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    options = {"pool_timeout": pool_options.timeout, "pool_recycle": pool_options.recycle}
    return _engine(database_url, poolclass=QueuePool, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, **options)


def _poolproof_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    # As many as the other lends at most; our settings take no longer wait than a minute.
    settings = PoolSettings(
        size=POOL_SIZE + MAX_OVERFLOW,
        timeout=min(pool_options.timeout, 60.0),
        request_deadline=max(pool_options.timeout, 60.0),
        max_connections_per_request=MAX_CONNECTIONS_PER_REQUEST,
        recycle=pool_options.recycle if pool_options.recycle > 0 else None,
    )
    engine = create_engine(database_url, **engine_options(settings, make_url(database_url), pool_options.threads))
    configure_engine(engine, settings, "lab")
    return engine


def _null_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    return _engine(database_url, poolclass=NullPool)


def _static_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    return _engine(database_url, poolclass=StaticPool, pool_recycle=pool_options.recycle)


def _singleton_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    return _engine(database_url, poolclass=SingletonThreadPool, pool_size=POOL_SIZE, pool_recycle=pool_options.recycle)


def _singleton_pool_per_thread(database_url: str, pool_options: PoolOptions) -> Engine:
    size = pool_options.threads + 1
    return _engine(database_url, poolclass=SingletonThreadPool, pool_size=size, pool_recycle=pool_options.recycle)


DEFAULT_QUEUE_POOL, POOLPROOF_POOL = "QueuePool, defaults", "Poolproof"
POOL_TYPES: Sequence[PoolType] = (
    PoolType(DEFAULT_QUEUE_POOL, "Threads of one process, when they are few, or patient.", _queue_pool),
    PoolType(
        POOLPROOF_POOL,
        "Many more threads than connections: in turn, and never longer than a deadline.",
        _poolproof_pool,
    ),
    PoolType("NullPool", "Scripts, and a pooler (ProxySQL, MaxScale) in front of the server.", _null_pool),
    PoolType(
        "a connection per request",
        "What frameworks without a pool do: simple, and as many as there are requests.",
        _null_pool,
        True,
    ),
    PoolType(
        "SingletonThreadPool, 5", "SQLite in memory, where a connection must stay in its thread.", _singleton_pool
    ),
    PoolType(
        "SingletonThreadPool, all",
        "Few threads that live for ever: no waiting, one connection each.",
        _singleton_pool_per_thread,
    ),
    PoolType(
        "StaticPool", "SQLite in memory in tests: one connection for all, whose driver can be shared.", _static_pool
    ),
)
