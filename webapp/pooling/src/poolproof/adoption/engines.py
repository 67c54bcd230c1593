"""`adopt`: an engine that an application has made gets the fair pool; its sessions stay as they are."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from poolproof.adoption.settings import AdoptSettings
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.replacement import can_be_replaced, fair_pool_like, pings_every_checkout
from poolproof.core.stats import PoolStatistics
from poolproof.engine import dispose_with_process
from poolproof.errors import PoolConfigurationError
from poolproof.health import checkout_ping, housekeeper
from poolproof.lanes import Lane
from poolproof.leaks import checkout_registry
from poolproof.leaks.leak_detector import SESSION_REMEDIES, LeakDetector
from poolproof.leaks.statement_activity import track_statements
from poolproof.metrics.blocking_calls import install_guard
from poolproof.runtime.threads import require_threads

log = logging.getLogger(__name__)

DEFAULT_SETTINGS = AdoptSettings()
ASYNC_REFUSAL = (
    "An asynchronous engine cannot be adopted, because a wait for a connection would stop its whole event loop: use "
    "create_engine() with a synchronous driver, and call it in threads, as FastAPI does with endpoints that are "
    "declared with `def`."
)


@dataclass(frozen=True)
class _Adoption:
    name: str
    leak_detector: LeakDetector


_adopted: weakref.WeakKeyDictionary[Engine, _Adoption] = weakref.WeakKeyDictionary()
"""No value refers to its engine, which would keep it for ever."""


def adopt(engine: Engine, name: str | None = None, settings: AdoptSettings = DEFAULT_SETTINGS) -> Engine:
    """Give `engine` the fair pool, leak reports, health checks and metrics, and return it.

    Call it where the engine is made, before it is used: connections that are idle are closed. Size, overflow, time-out,
    recycling, pre-ping, listeners and everything about a session stay as the application has set them; `dispose()`
    keeps the adoption. A pool of another class than QueuePool, as SQLite's in memory, stays; its checkouts are watched.
    An engine that was adopted before is returned unchanged.

    Args:
        engine: Made by `create_engine`, for any database.
        name: Of the pool, in messages and metrics. Default: the name of the database.
        settings: What is watched, and how; see `AdoptSettings`.

    Raises:
        PoolConfigurationError: when the engine is asynchronous, or gevent or eventlet have replaced threads.
    """
    require_threads()
    _require_synchronous(engine)
    if engine in _adopted:
        return engine
    name = name or _default_name(engine)
    _replace_pool(engine, settings)
    _add_listeners(engine, name, settings)
    return engine


def adopted_lanes() -> list[Lane]:
    """Return the engines of this process that were adopted and still exist, each with its leak detector."""
    return [Lane(adoption.name, engine, adoption.leak_detector) for engine, adoption in list(_adopted.items())]


def adopted_lane(engine: Engine) -> Lane:
    """Return an adopted engine with its name and its leak detector.

    Raises:
        KeyError: when it was not adopted.
    """
    adoption = _adopted[engine]
    return Lane(adoption.name, engine, adoption.leak_detector)


def _require_synchronous(engine: Any) -> None:
    if not isinstance(engine, Engine):
        # SQLAlchemy's AsyncEngine, which is not imported here: it needs what a synchronous application may not have.
        if hasattr(engine, "sync_engine"):
            raise PoolConfigurationError(ASYNC_REFUSAL)
        raise PoolConfigurationError(f"adopt() takes an engine that create_engine() has made, no {type(engine)}.")
    if engine.dialect.is_async:
        raise PoolConfigurationError(ASYNC_REFUSAL)


def _default_name(engine: Engine) -> str:
    name = (engine.url.database or engine.url.get_backend_name()).rpartition("/")[2]
    taken = {adoption.name for adoption in _adopted.values()}
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(one for one in names if one not in taken)


def _replace_pool(engine: Engine, settings: AdoptSettings) -> None:
    pool = engine.pool
    if not isinstance(pool, QueuePool) or not can_be_replaced(pool):
        log.info("The pool of %s stays a %s; its checkouts are watched.", engine.url, type(pool).__name__)
        return
    own = pool.statistics if isinstance(pool, FairQueuePool) else None
    statistics = own or (PoolStatistics() if settings.metrics else None)
    engine.pool = fair_pool_like(
        pool, max_waiting=settings.max_waiting, shedding=settings.shedding(pool.timeout()), statistics=statistics
    )


def _add_listeners(engine: Engine, name: str, settings: AdoptSettings) -> None:
    track_statements(engine)
    pool = engine.pool
    if isinstance(pool, FairQueuePool) and engine.dialect.name != "sqlite" and not pings_every_checkout(pool):
        checkout_ping.ping_idle_connections(engine, pool, settings.ping_idle_after)
    registry = checkout_registry.track_checkouts(engine, name)
    leak_detector = LeakDetector(
        registry, settings.leak_threshold, settings.max_connections_per_request, SESSION_REMEDIES
    )
    if isinstance(pool, FairQueuePool):
        pool.describe_holders = registry.describe
    housekeeper.register_engine(engine, settings.to_pool_settings(), None, leak_detector)
    dispose_with_process(engine)
    install_guard()
    _adopted[engine] = _Adoption(name, leak_detector)
