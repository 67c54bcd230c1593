"""The rate limit of a player's writes. Never by IP address: a whole school may share one.

Each worker has a token bucket for each player in its memory, so the limit needs no database. A service of several
workers divides the rate among them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from webapp.errors import QuotaExceededError
from webapp.web.token_bucket import TokenBucket

BURST = 40
"""Writes that a player may send at once, e.g. of a quiz that was answered offline."""
JOIN_RATE, JOIN_BURST = 0.2, 20
"""Join codes that a device may look up: in a second in the long run, and at once."""
MAX_TRACKED_PLAYERS = 50_000
"""Players whose buckets are kept; two hundred bytes each. Above that, full buckets are dropped."""


class PlayerRateLimiter:
    """The token buckets of this worker's players."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic, burst: int = BURST) -> None:
        """Allow each player `rate` writes a second in the long run, and `burst` at once; 0 means no limit."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[UUID, TokenBucket] = {}

    def acquire(self, player_id: UUID) -> None:
        """Count one write of a player.

        Raises:
            QuotaExceededError: when the player has written too often; it has the time to wait.
        """
        if not self._rate:
            return
        now = self._clock()
        with self._lock:
            bucket = self._buckets.get(player_id)
            if bucket is None:
                self._evict(now)
                bucket = self._buckets[player_id] = TokenBucket(self._rate, self._burst, self._burst, now)
            delay = bucket.take(now)
        if delay > 0:
            raise QuotaExceededError(delay)

    def _evict(self, now: float) -> None:
        if len(self._buckets) >= MAX_TRACKED_PLAYERS:
            self._buckets = {
                player_id: bucket for player_id, bucket in self._buckets.items() if not bucket.is_full(now)
            }
        if len(self._buckets) >= MAX_TRACKED_PLAYERS:
            # So many are playing at the same time: drop the bucket of the player who began first.
            del self._buckets[next(iter(self._buckets))]


def get_join_limiter(app: Any) -> PlayerRateLimiter:
    """Return the limiter of join codes of a Flask app; it counts players, and devices that have not played yet."""
    return cast("PlayerRateLimiter", app.extensions["join_limiter"])
