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

AT_ONCE = 40
"""Writes that a player may do as fast as he can, e.g. a quiz answered offline and sent when the network is back."""
MOST = 50_000
"""Players that are remembered; two hundred bytes each. Above that, those who have long paused are forgotten."""


@dataclass(slots=True)
class _Bucket:
    left: float
    seen_at: float


class Limits:
    """What the players of this worker have left."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Grant each player `rate` writes a second in the long run, and `AT_ONCE` at once; 0 means no limit."""
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[UUID, _Bucket] = {}

    def take(self, player_id: UUID) -> None:
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
                self._make_room(now)
                bucket = self._buckets[player_id] = _Bucket(AT_ONCE, now)
            bucket.left = min(float(AT_ONCE), bucket.left + (now - bucket.seen_at) * self._rate)
            bucket.seen_at = now
            if bucket.left >= 1:
                bucket.left -= 1
                return
            wait = (1 - bucket.left) / self._rate
        raise QuotaExceededError(wait)

    def _make_room(self, now: float) -> None:
        if len(self._buckets) >= MOST:
            full_after = AT_ONCE / self._rate
            self._buckets = {who: one for who, one in self._buckets.items() if now - one.seen_at < full_after}
        if len(self._buckets) >= MOST:
            # So many are playing: who began first has had his share.
            del self._buckets[next(iter(self._buckets))]
