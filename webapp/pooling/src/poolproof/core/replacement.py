"""A FairQueuePool in the place of the pool of an engine that exists: with its arguments and its listeners.

**SQLAlchemy's private parts** that are read here, each an argument of the pool that has no public name:

- `Pool._creator`, `Pool._recycle`, `Pool._pre_ping`, `Pool._orig_logging_name`, `Pool._reset_on_return`,
  `Pool._dialect`: as `recreate` of SQLAlchemy's own pools passes them on
- `QueuePool._max_overflow`
"""

from __future__ import annotations

from sqlalchemy.pool import Pool, QueuePool

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics


def can_be_replaced(pool: Pool) -> bool:
    """Say whether a fair pool can do what `pool` does: not where an application has made a class of its own."""
    return type(pool) in {QueuePool, FairQueuePool}


def pings_every_checkout(pool: Pool) -> bool:
    """Say whether the pool was made with `pre_ping`."""
    return bool(pool._pre_ping)


def fair_pool_like(
    pool: QueuePool, *, max_waiting: int | None, shedding: CoDel | None, statistics: PoolStatistics | None
) -> FairQueuePool:
    """Return an empty FairQueuePool with the arguments and the listeners of `pool`, which is emptied."""
    replacement = FairQueuePool(
        pool._creator, pool_size=pool.size(), max_overflow=pool._max_overflow, timeout=pool.timeout(),
        max_waiting=max_waiting, shedding=shedding, statistics=statistics, recycle=pool._recycle,
        pre_ping=pool._pre_ping, echo=pool.echo, logging_name=pool._orig_logging_name,
        reset_on_return=pool._reset_on_return, _dispatch=pool.dispatch, dialect=pool._dialect,
    )  # fmt: skip
    pool.dispose()
    return replacement
