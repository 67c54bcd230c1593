"""Whether a pool has all its slots: as many connections as it allows are borrowed at once and used."""

from __future__ import annotations

from contextlib import ExitStack

from sqlalchemy import Engine, text

from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolTimeoutError


def lend_every_slot(engine: Engine) -> tuple[int, int]:
    """Return how many connections the pool has lent at once, and how many it has to."""
    limit = slots_of(engine)
    with ExitStack() as held:
        for lent in range(limit):
            try:
                held.enter_context(engine.connect()).execute(text("SELECT 1"))
            except PoolTimeoutError:
                return lent, limit
    return limit, limit


def slots_of(engine: Engine) -> int:
    """Return how many connections the pool may have."""
    assert isinstance(engine.pool, FairQueuePool), engine.pool
    return int(engine.pool.limit())
