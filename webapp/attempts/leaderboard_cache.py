"""Leaderboards in this worker's memory: one small read a second at most, for any number of requests.

A read selects the attempts that were finished or erased since the last one, with an overlap for those whose commit was
still in progress then. Once a minute everything is read again, for commits that took longer.
"""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from poolproof.transactions.cached_read import SingleFlightCache
from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.attempts import leaderboard
from webapp.attempts.leaderboard import MAX_PLACES, AttemptResult, RankedResult
from webapp.quizzes.rules import CountedAttempt

CACHE_TTL = 1.0
OVERLAP = timedelta(seconds=5)
FULL_REFRESH_INTERVAL = 60.0
"""Seconds."""
MAX_CACHED = 200
"""Versions whose leaderboards are kept."""


@dataclass(frozen=True)
class Leaderboard:
    """A leaderboard at one moment."""

    results: Sequence[tuple[int, int]]
    """All known results as (−score, milliseconds), the best first."""
    finished_count: int
    """How many attempts are finished; more than `results` where these are too many to keep."""
    places: Sequence[RankedResult]

    def rank(self, score: int, milliseconds: int) -> int:
        """Return the rank of a result, 1 being the best."""
        return bisect_left(self.results, (-score, milliseconds)) + 1

    def places_including(self, result: AttemptResult, limit: int) -> Sequence[RankedResult]:
        """Return the first places, with this result among them even if it was stored after the last read."""
        if any(place.attempt_id == result.attempt_id for place in self.places):
            return self.places[:limit]
        others = (
            AttemptResult(place.attempt_id, place.player_name, place.score, place.milliseconds, None)
            for place in self.places
        )
        return leaderboard.rank_results(sorted([*others, result], key=_sort_key))[:limit]


@dataclass
class _KnownResults:
    """The results of one version that were read so far."""

    results: list[tuple[int, int]] = field(default_factory=list)
    by_id: dict[uuid.UUID, tuple[int, int]] = field(default_factory=dict)
    by_player: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)
    """Player → the attempt that counts."""
    top: list[AttemptResult] = field(default_factory=list)
    last_finished_at: datetime | None = None
    finished_count: int = 0
    has_changed: bool = False
    """A known result is another one: its attempt went on, its player has erased it, or another one counts now."""

    def add(self, rows: Iterable[AttemptResult]) -> None:
        for row in rows:
            if row.finished_at is not None:
                self.last_finished_at = max(self.last_finished_at or row.finished_at, row.finished_at)
            if row.is_erased:
                self.has_changed |= row.attempt_id in self.by_id
                continue
            result = -row.score, row.milliseconds
            if row.attempt_id in self.by_id:
                self.has_changed |= self.by_id[row.attempt_id] != result
                continue
            self.by_id[row.attempt_id] = result
            if row.player_id is not None:
                known = self.by_player.setdefault(row.player_id, row.attempt_id)
                self.has_changed |= known != row.attempt_id
            self.finished_count += 1
            insort(self.results, result)
            insort(self.top, row, key=_sort_key)
            del self.top[MAX_PLACES:]

    def to_leaderboard(self) -> Leaderboard:
        return Leaderboard(self.results.copy(), self.finished_count, leaderboard.rank_results(self.top))


def _sort_key(result: AttemptResult) -> tuple[int, int, uuid.UUID]:
    return -result.score, result.milliseconds, result.attempt_id


class _CachedLeaderboard:
    """The cached leaderboard of one version."""

    def __init__(self, connect: ConnectionFactory, version_id: int, counting: CountedAttempt, ttl: float) -> None:
        self._connect = connect
        self._counted_attempt = counting
        self._version_id = version_id
        self._results = _KnownResults()
        self._full_refresh_at = 0.0
        self.cache: SingleFlightCache[Leaderboard] = SingleFlightCache(self._refresh, ttl)

    def invalidate(self) -> None:
        """Have the next request read everything again."""
        self._full_refresh_at = 0.0
        self.cache.invalidate()

    def _refresh(self) -> Leaderboard:
        if time.monotonic() >= self._full_refresh_at:
            self._read_all()
        else:
            self._read_new()
            if self._results.has_changed:
                self._read_all()
        return self._results.to_leaderboard()

    def _read_all(self) -> None:
        with self._connect() as connection:
            rows = leaderboard.top_results(connection, self._version_id, counting=self._counted_attempt)
            # Counted only where there are more than these: who finishes between two statements is found by the next
            # `_read_new`, and would be counted twice.
            finished_count = len(rows)
            if len(rows) >= leaderboard.MAX_RESULTS:
                finished_count = leaderboard.count_finished(connection, self._version_id, self._counted_attempt)
        results = _KnownResults()
        results.add(rows)
        results.finished_count = finished_count
        self._results, self._full_refresh_at = results, time.monotonic() + FULL_REFRESH_INTERVAL

    def _read_new(self) -> None:
        since = None if self._results.last_finished_at is None else self._results.last_finished_at - OVERLAP
        with self._connect() as connection:
            rows = leaderboard.finished_since(connection, self._version_id, since, self._counted_attempt)
        self._results.add(rows)


class LeaderboardCache:
    """The leaderboards that were requested from this worker."""

    def __init__(self, connect: ConnectionFactory, ttl: float = CACHE_TTL) -> None:
        """Read on connections of `connect`; a leaderboard is at most `ttl` seconds old, plus the time of a read."""
        self._connect = connect
        self._ttl = ttl
        self._cached: dict[tuple[int, CountedAttempt], _CachedLeaderboard] = {}

    def get(self, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST) -> Leaderboard:
        """Return the leaderboard of a version, on which this attempt of each player is."""
        cached = self._cached.get((version_id, counting))
        if cached is None:
            if len(self._cached) >= MAX_CACHED:
                self._cached = {}
            new = _CachedLeaderboard(self._connect, version_id, counting, self._ttl)
            cached = self._cached.setdefault((version_id, counting), new)
        return cached.cache.get()

    def invalidate(self, version_id: int) -> None:
        """Have the next request read the whole leaderboard of a version, after attempts of any time were scored."""
        for counting in CountedAttempt:
            if cached := self._cached.get((version_id, counting)):
                cached.invalidate()
