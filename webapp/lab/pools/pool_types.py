"""The pools that are compared, each as an engine: SQLAlchemy's own, ours, and none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, NullPool, QueuePool, SingletonThreadPool, StaticPool, create_engine, make_url

from poolproof.drivers.mysql.connect_args import connect_args
from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings

POOL_SIZE, MAX_OVERFLOW, POOL_TIMEOUT = 5, 10, 30.0
"""SQLAlchemy's own defaults."""
MAX_CONNECTIONS_PER_REQUEST = 16
"""High, because the benchmark checks out several connections in one thread."""
READ_TIMEOUT = 5
"""Seconds; where threads share a connection, one may wait for a response that another has read."""


@dataclass(frozen=True)
class PoolOptions:
    """Options of an engine: the threads it serves, the checkout time-out and the greatest age, in seconds."""

    threads: int
    timeout: float = POOL_TIMEOUT
    recycle: int = -1


@dataclass(frozen=True)
class PoolType:
    """A way to get a connection: one of the pools, or none."""

    name: str
    purpose: str
    create: Callable[[str, PoolOptions], Engine]
    per_request: bool = False
    """Keep the connection from a request's first query to its end, instead of returning it after each query."""


def _engine(database_url: str, **engine_arguments: Any) -> Engine:
    # With our TLS settings: PyMySQL's defaults take 28 ms for each connect, which does not depend on the pool.
    ours = connect_args(PoolSettings(), make_url(database_url))
    tls = {name: value for name, value in ours.items() if name.startswith("ssl")}
    return create_engine(database_url, connect_args={**tls, "read_timeout": READ_TIMEOUT}, **engine_arguments)


def _queue_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    options = {"pool_timeout": pool_options.timeout, "pool_recycle": pool_options.recycle}
    return _engine(database_url, poolclass=QueuePool, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, **options)


def _poolproof_pool(database_url: str, pool_options: PoolOptions) -> Engine:
    # As many connections as QueuePool allows with its defaults; our settings allow no time-out above a minute.
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
    PoolType(DEFAULT_QUEUE_POOL, "A few threads of one process, or threads that may wait long.", _queue_pool),
    PoolType(
        POOLPROOF_POOL,
        "Many more threads than connections: first come, first served, and no wait beyond a deadline.",
        _poolproof_pool,
    ),
    PoolType("NullPool", "Scripts, and a pooler (ProxySQL, MaxScale) in front of the server.", _null_pool),
    PoolType(
        "a connection per request",
        "What frameworks without a pool do: simple, with as many connections as requests.",
        _null_pool,
        True,
    ),
    PoolType(
        "SingletonThreadPool, 5", "SQLite in memory, where a connection must stay in its thread.", _singleton_pool
    ),
    PoolType(
        "SingletonThreadPool, all",
        "A few long-lived threads: no waiting, one connection each.",
        _singleton_pool_per_thread,
    ),
    PoolType(
        "StaticPool", "SQLite in memory in tests: one connection for all, whose driver can be shared.", _static_pool
    ),
)
