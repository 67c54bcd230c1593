"""How many wait for a connection, of either pool; and a pool whose waiters go by the clock of a test."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy.pool import QueuePool

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from tests.support.waiting import wait_until


def waiting(pool: QueuePool) -> int:
    """Return how many threads wait for a connection."""
    if isinstance(pool, FairQueuePool):
        return pool.waiting()
    queue: Any = pool._pool
    return len(queue.not_empty._waiters)


class Attentive(CoDel):
    """Rejects no waiter by itself, and has waiters look at the clock all the time; counts how often."""

    checks = 0

    def __init__(self) -> None:
        super().__init__(target=math.inf, interval=0.005)

    def on_stall(self, oldest_wait: float, now: float) -> bool:
        self.checks += 1
        return super().on_stall(oldest_wait, now)

    def wait_for_checks(self, count: int) -> None:
        """Wait until waiters have looked so often from now on."""
        target = self.checks + count
        wait_until(lambda: self.checks >= target)
