"""Fair limits: how often one player may write. Never by address: a whole school may sit behind one.

A token bucket for each player and worker, in memory: nobody asks the database how often somebody
asks. A service of many workers divides the rate among them, so that all together grant no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from webapp.errors import QuotaExceededError

BURST = 40
"""Writes that a player may do as fast as he can, e.g. a quiz answered offline and sent when the network is back."""
MAX_TRACKED_PLAYERS = 50_000
"""Players that are remembered; two hundred bytes each. Above that, those who have long paused are forgotten."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    updated_at: float


class PlayerRateLimiter:
    """What the players of this worker have left."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Grant each player `rate` writes a second in the long run, and `BURST` at once; 0 means no limit."""
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[UUID, _Bucket] = {}

    def acquire(self, player_id: UUID) -> None:
        """Count one write of a player.

        Raises:
            QuotaExceededError: when he has written too often; it says when he may again.
        """
        if not self._rate:
            return
        now = self._clock()
        with self._lock:
            bucket = self._buckets.get(player_id)
            if bucket is None:
                self._evict(now)
                bucket = self._buckets[player_id] = _Bucket(BURST, now)
            bucket.tokens = min(float(BURST), bucket.tokens + (now - bucket.updated_at) * self._rate)
            bucket.updated_at = now
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return
            wait = (1 - bucket.tokens) / self._rate
        raise QuotaExceededError(wait)

    def _evict(self, now: float) -> None:
        if len(self._buckets) >= MAX_TRACKED_PLAYERS:
            full_after = BURST / self._rate
            self._buckets = {who: one for who, one in self._buckets.items() if now - one.updated_at < full_after}
        if len(self._buckets) >= MAX_TRACKED_PLAYERS:
            # So many are playing: who began first has had his share.
            del self._buckets[next(iter(self._buckets))]
