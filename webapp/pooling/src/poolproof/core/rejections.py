"""A pool that lends no connection: the error for the caller, its count, its event."""

from __future__ import annotations

from typing import Protocol

from poolproof import errors, event_log
from poolproof.core.stats import PoolStatistics
from poolproof.errors import PoolQueueFullError, PoolShedError, PoolStatus, PoolTimeoutError


class RejectingPool(PoolStatus, Protocol):
    """What is needed to know of a pool."""

    statistics: PoolStatistics | None
    is_suspended: bool

    def limit(self) -> float: ...  # noqa: D102


def queue_full(pool: RejectingPool) -> PoolTimeoutError:
    """Return the error for a caller that may not even wait."""
    return _reject(pool, PoolQueueFullError, "refused", f"{pool.waiting()} already wait, no more may")


def shed(pool: RejectingPool, waited: float) -> PoolTimeoutError:
    """Return the error for a caller that was rejected after `waited` seconds, because all waits are too long."""
    return _reject(pool, PoolShedError, "shed", f"even the shortest wait is too long; rejected after {waited:.2f} s")


def timed_out(pool: RejectingPool, waited: float) -> PoolTimeoutError:
    """Return the error for a caller that got nothing within `waited` seconds."""
    reason = "the pool is suspended, and lent none" if pool.is_suspended else "none came back"
    return _reject(pool, PoolTimeoutError, "timeout", f"{reason} within {waited:.2f} s")


def _reject(pool: RejectingPool, error_class: type[PoolTimeoutError], counted_as: str, detail: str) -> PoolTimeoutError:
    if pool.statistics is not None:
        pool.statistics.record_rejected(counted_as)
    event_log.record_throttled(counted_as, f"A full pool rejected requests: {detail}.")
    return error_class(errors.exhausted_message(detail, pool.limit(), pool))
