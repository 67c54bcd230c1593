"""Ways to come by a connection, each as an engine: SQLAlchemy's pools, ours, and none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, NullPool, QueuePool, SingletonThreadPool, StaticPool, create_engine, make_url

from webapp.pooling import driver
from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.settings import PoolSettings

SIZE, OVERFLOW, PATIENCE = 5, 10, 30.0
"""SQLAlchemy's own defaults."""
NESTING = 16
"""One thread that borrows several is part of what is looked at."""
READ_WITHIN = 5
"""Seconds; where threads share a connection, one may wait for an answer that another has read."""


@dataclass(frozen=True)
class Terms:
    """What a way is asked for: the threads it serves, the longest wait and the greatest age, in seconds."""

    threads: int
    patience: float = PATIENCE
    recycle: int = -1


@dataclass(frozen=True)
class Way:
    """A way to come by a connection."""

    name: str
    is_for: str
    make: Callable[[str, Terms], Engine]
    for_a_whole_request: bool = False
    """Keep the connection from a request's first query to its end, instead of giving it back after each."""


def _engine(database_url: str, **options: Any) -> Engine:
    # With TLS as ours has it: PyMySQL's own way takes 28 ms for each connect, and that is not the pool's.
    ours = driver.connect_arguments(PoolSettings.model_validate({}), make_url(database_url))
    tls = {name: value for name, value in ours.items() if name.startswith("ssl")}
    return create_engine(database_url, connect_args={**tls, "read_timeout": READ_WITHIN}, **options)


def _queue(database_url: str, terms: Terms) -> Engine:
    options = {"pool_timeout": terms.patience, "pool_recycle": terms.recycle}
    return _engine(database_url, poolclass=QueuePool, pool_size=SIZE, max_overflow=OVERFLOW, **options)


def _ours(database_url: str, terms: Terms) -> Engine:
    # As many as the other lends at most; our settings take no longer wait than a minute.
    settings = PoolSettings.model_validate(
        {
            "size": SIZE + OVERFLOW,
            "timeout": min(terms.patience, 60.0),
            "deadline": max(terms.patience, 60.0),
            "nesting": NESTING,
            "recycle": terms.recycle if terms.recycle > 0 else None,
        }
    )
    engine = create_engine(database_url, **engine_options(settings, make_url(database_url), terms.threads))
    prepare_engine(engine, settings, "lab")
    return engine


def _null(database_url: str, terms: Terms) -> Engine:
    return _engine(database_url, poolclass=NullPool)


def _static(database_url: str, terms: Terms) -> Engine:
    return _engine(database_url, poolclass=StaticPool, pool_recycle=terms.recycle)


def _singleton(database_url: str, terms: Terms) -> Engine:
    return _engine(database_url, poolclass=SingletonThreadPool, pool_size=SIZE, pool_recycle=terms.recycle)


def _singleton_for_all(database_url: str, terms: Terms) -> Engine:
    size = terms.threads + 1
    return _engine(database_url, poolclass=SingletonThreadPool, pool_size=size, pool_recycle=terms.recycle)


DEFAULTS, OURS = "QueuePool, defaults", "Poolproof"
WAYS: Sequence[Way] = (
    Way(DEFAULTS, "Threads of one process, when they are few, or patient.", _queue),
    Way(OURS, "Many more threads than connections: in turn, and never longer than a deadline.", _ours),
    Way("NullPool", "Scripts, and a pooler (ProxySQL, MaxScale) in front of the server.", _null),
    Way(
        "a connection per request",
        "What frameworks without a pool do: simple, and as many as there are requests.",
        _null,
        True,
    ),
    Way("SingletonThreadPool, 5", "SQLite in memory, where a connection must stay in its thread.", _singleton),
    Way(
        "SingletonThreadPool, all",
        "Few threads that live for ever: no waiting, one connection each.",
        _singleton_for_all,
    ),
    Way("StaticPool", "SQLite in memory in tests: one connection for all, whose driver can be shared.", _static),
)
