"""What a pool has done so far: counters and histograms that cost next to nothing.

Each place in the pool has a ledger, which only the thread that holds the place writes: no
lock is needed, with or without a GIL. What happens seldom (a wait, a time-out, a close) is
counted under a lock that may be taken again by the same thread, because a garbage
collection may return a connection at any moment. A ledger outlives its place and goes to
the next one, so counters never go backwards.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, frexp
from typing import Any

BUCKET_COUNT = 64
BUCKET_OFFSET = 30
"""Bucket b counts durations from 2^(b - 31) up to 2^(b - 30) seconds: one nanosecond to centuries."""


def bucket_index(seconds: float) -> int:
    """Return the bucket of a duration in seconds."""
    return frexp(seconds + 1e-9)[1] + BUCKET_OFFSET


@dataclass(slots=True)
class Histogram:
    """Durations in seconds: how many in each bucket, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKET_COUNT)
    total: float = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bucket_index(seconds)] += 1
        self.total += seconds

    def add(self, other: Histogram) -> None:
        """Count what another has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Return the upper edge in seconds of the bucket that holds this share; 0.0 when nothing was counted."""
        left = share * self.count
        for number, count in enumerate(self.counts):
            left -= count
            if count and left <= 0:
                return float(2.0 ** (number - BUCKET_OFFSET))
        return 0.0


@dataclass(slots=True)
class SlotCounters:
    """What happened in one place of the pool; written by whoever holds the place."""

    checkouts: int = 0
    use_time_buckets: list[int] = field(default_factory=lambda: [0] * BUCKET_COUNT)
    use_time_total: float = 0.0
    create_time: Histogram = field(default_factory=Histogram)


RouteKey = tuple[str, str, int]
"""Method, rule and status of requests that were answered."""


class RequestStatistics:
    """How many statements requests needed, and how long which of them took."""

    def __init__(self, *, is_timing: bool = True) -> None:
        """Begin at nothing; without `is_timing` only statements are counted."""
        self._lock = threading.RLock()
        _instances.add(self)
        self._is_timing = is_timing
        self.on_request: Callable[[int], None] = _ignore
        """Hears after each request how many there were."""
        self.requests = 0
        self.statements = 0
        self.max_statements = 0
        self._routes: dict[RouteKey, Histogram] = {}

    def record_request(self, statements: int) -> None:
        """Count a request that is over."""
        with self._lock:
            self.requests += 1
            self.statements += statements
            self.max_statements = max(self.max_statements, statements)
            self.on_request(self.requests)

    def record_response(self, method: str, rule: str, status: int, seconds: float) -> None:
        """Count an answer; `rule` is the route's, never a path, and names are few."""
        if not self._is_timing:
            return
        route = (method, rule, status)
        with self._lock:
            if (found := self._routes.get(route)) is None:
                found = self._routes[route] = Histogram()
            found.record(seconds)

    def routes(self) -> dict[RouteKey, Histogram]:
        """Return how long answers took, by method, rule and status."""
        with self._lock:
            return {route: Histogram(one.counts.copy(), one.total) for route, one in self._routes.items()}


def _ignore(requests: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class StatisticsSnapshot:
    """A pool's counters at one moment; all of them only grow."""

    checkouts: int
    wait_time: Histogram
    """How long each borrower waited for its connection; those who did not wait stand in the lowest bucket."""
    use_time: Histogram
    """How long connections were out."""
    create_time: Histogram
    """How long it took to open one and make its session ours."""
    timeouts: int
    shed: int
    refused: int
    """Turned away because too many waited already."""
    closed: dict[str, int]
    """Connections closed, by reason."""


class PoolStatistics:
    """The counters of one pool; `recreate()` hands them on."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._slot_counters: deque[SlotCounters] = deque()
        self._free_slot_counters: deque[SlotCounters] = deque()
        self._lock = threading.RLock()
        _instances.add(self)
        self._wait_time = Histogram()
        self._rejected: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()

    def acquire_counters(self) -> SlotCounters:
        """Return a ledger for a new place."""
        try:
            return self._free_slot_counters.pop()
        except IndexError:
            ledger = SlotCounters()
            self._slot_counters.append(ledger)
            return ledger

    def release_counters(self, counters: SlotCounters) -> None:
        """Keep the ledger of a place that is no more for the next one."""
        self._free_slot_counters.append(counters)

    def record_wait(self, seconds: float) -> None:
        """Count a wait that ended with a connection."""
        with self._lock:
            self._wait_time.record(seconds)

    def record_rejected(self, reason: str) -> None:
        """Count a borrower who got nothing; `why` is timeout, shed or refused."""
        with self._lock:
            self._rejected[reason] += 1

    def record_closed(self, reason: str) -> None:
        """Count a connection that was closed."""
        with self._lock:
            self._closed[reason] += 1

    def snapshot(self) -> StatisticsSnapshot:
        """Return the sums; what other threads count in this very moment may be missing."""
        uses, creates, waits, borrows = Histogram(), Histogram(), Histogram(), 0
        for ledger in self._slot_counters.copy():
            borrows += ledger.checkouts
            uses.add(Histogram(ledger.use_time_buckets, ledger.use_time_total))
            creates.add(ledger.create_time)
        with self._lock:
            waits.add(self._wait_time)
            turned_away, closed = self._rejected.copy(), dict(self._closed)
        waits.counts[0] += max(0, borrows - waits.count)
        return StatisticsSnapshot(
            borrows,
            waits,
            uses,
            creates,
            timeouts=turned_away["timeout"],
            shed=turned_away["shed"],
            refused=turned_away["refused"],
            closed=closed,
        )


_instances: weakref.WeakSet[PoolStatistics | RequestStatistics] = weakref.WeakSet()


def _reset_after_fork() -> None:
    # Another thread of the parent may have held one at the moment of the fork; in the child nobody lets go of it.
    for statistics in list(_instances):
        statistics._lock = threading.RLock()  # noqa: SLF001 - in its own module


os.register_at_fork(after_in_child=_reset_after_fork)


PARTS_PER_SECOND = 2**20


def histogram_to_dict(histogram: Histogram) -> dict[str, Any]:
    """Return a histogram as a tree, without the empty buckets at its end."""
    counts = list(histogram.counts)
    while counts and counts[-1] == 0:
        counts.pop()
    # In whole parts of 2^-20 s: these are added without any rounding, so that the sum over a fleet does not depend on
    # the order, and never shrinks by a last digit (which a reader of metrics takes for a counter that began anew).
    return {"counts": counts, "total": floor(histogram.total * PARTS_PER_SECOND) / PARTS_PER_SECOND}


def histogram_from_dict(tree: dict[str, Any] | None) -> Histogram:
    """Return the histogram of such a tree; an empty one for none."""
    if not tree:
        return Histogram()
    counts = tree["counts"]
    return Histogram([*counts, *[0] * (BUCKET_COUNT - len(counts))], tree["total"])


def snapshot_to_dict(snapshot: StatisticsSnapshot) -> dict[str, Any]:
    """Return a pool's counters as a tree."""
    return {
        "borrows": snapshot.checkouts,
        "waits": histogram_to_dict(snapshot.wait_time),
        "uses": histogram_to_dict(snapshot.use_time),
        "creates": histogram_to_dict(snapshot.create_time),
        "timeouts": snapshot.timeouts,
        "shed": snapshot.shed,
        "refused": snapshot.refused,
        "closed": dict(snapshot.closed),
    }


def snapshot_from_dict(tree: dict[str, Any]) -> StatisticsSnapshot:
    """Return the counters of such a tree."""
    return StatisticsSnapshot(
        tree["borrows"],
        histogram_from_dict(tree["waits"]),
        histogram_from_dict(tree["uses"]),
        histogram_from_dict(tree["creates"]),
        timeouts=tree["timeouts"],
        shed=tree["shed"],
        refused=tree["refused"],
        closed=dict(tree["closed"]),
    )
