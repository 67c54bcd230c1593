"""What a pool has done so far: counters and histograms that cost next to nothing.

Each slot of the pool has counters of its own, which only the thread that holds the slot writes: no lock is needed, with
or without a GIL. What happens seldom (a wait, a time-out, a close) is counted under a reentrant lock, because a garbage
collection may return a connection at any moment, also in the thread that holds it. Counters outlive their slot and go
to the next one, so they never go backwards.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, frexp
from typing import Any

from poolproof.runtime import fork

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
    """What happened in one slot of the pool; written only by the thread that holds the slot."""

    checkouts: int = 0
    use_time_buckets: list[int] = field(default_factory=lambda: [0] * BUCKET_COUNT)
    use_time_total: float = 0.0
    create_time: Histogram = field(default_factory=Histogram)


RouteKey = tuple[str, str, int]
"""Method, rule and status of requests that were answered."""


class RequestStatistics:
    """How many statements requests needed, and how long the requests took, by route."""

    def __init__(self, *, is_timing: bool = True) -> None:
        """Begin at nothing; without `is_timing` only statements are counted."""
        self._lock = threading.RLock()
        fork.track(self, fork.Phase.LOCKS)
        self._is_timing = is_timing
        self.on_request: Callable[[int], None] = _ignore
        """Called after each request with the number of requests so far; two threads may call in any order."""
        self.requests = 0
        self.statements = 0
        self._routes: dict[RouteKey, Histogram] = {}

    def record_request(self, statements: int) -> None:
        """Count a request that is over."""
        with self._lock:
            self.requests += 1
            self.statements += statements
            requests = self.requests
        # Outside: it may write a file, and a disk that does not answer must hold up one request and not all of them.
        self.on_request(requests)

    def record_response(self, method: str, rule: str, status: int, seconds: float) -> None:
        """Count a response; `rule` is the route's pattern, never a path, so that there are few different ones."""
        if not self._is_timing:
            return
        route = (method, rule, status)
        with self._lock:
            if (histogram := self._routes.get(route)) is None:
                histogram = self._routes[route] = Histogram()
            histogram.record(seconds)

    def routes(self) -> dict[RouteKey, Histogram]:
        """Return how long responses took, by method, rule and status."""
        with self._lock:
            return {
                route: Histogram(histogram.counts.copy(), histogram.total) for route, histogram in self._routes.items()
            }

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.RLock()


def _ignore(requests: int) -> None:
    """Do nothing; the default of `RequestStatistics.on_request`."""


@dataclass(frozen=True)
class StatisticsSnapshot:
    """A pool's counters at one moment; all of them only grow."""

    checkouts: int
    wait_time: Histogram
    """How long each checkout waited for its connection; those without a wait are in the lowest bucket."""
    use_time: Histogram
    """How long connections were out."""
    create_time: Histogram
    """How long it took to open one and set up its session."""
    timeouts: int
    shed: int
    refused: int
    """Rejected because too many waited already."""
    closed: dict[str, int]
    """Connections closed, by reason."""


class PoolStatistics:
    """The counters of one pool; `recreate()` hands them on."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._slot_counters: deque[SlotCounters] = deque()
        self._free_slot_counters: deque[SlotCounters] = deque()
        self._lock = threading.RLock()
        fork.track(self, fork.Phase.LOCKS)
        self._wait_time = Histogram()
        self._rejected: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()

    def acquire_counters(self) -> SlotCounters:
        """Return counters for a new slot: those of a former one, or fresh ones."""
        try:
            return self._free_slot_counters.pop()
        except IndexError:
            counters = SlotCounters()
            self._slot_counters.append(counters)
            return counters

    def release_counters(self, counters: SlotCounters) -> None:
        """Keep the counters of a slot that is gone for the next one."""
        self._free_slot_counters.append(counters)

    def record_wait(self, seconds: float) -> None:
        """Count a wait that ended with a connection."""
        with self._lock:
            self._wait_time.record(seconds)

    def record_rejected(self, reason: str) -> None:
        """Count a borrower that got no connection; `reason` is timeout, shed or refused."""
        with self._lock:
            self._rejected[reason] += 1

    def record_closed(self, reason: str) -> None:
        """Count a connection that was closed."""
        with self._lock:
            self._closed[reason] += 1

    def snapshot(self) -> StatisticsSnapshot:
        """Return the sums; what other threads count in this very moment may be missing."""
        use_time, create_time, wait_time, checkouts = Histogram(), Histogram(), Histogram(), 0
        for counters in self._slot_counters.copy():
            checkouts += counters.checkouts
            use_time.add(Histogram(counters.use_time_buckets, counters.use_time_total))
            create_time.add(counters.create_time)
        with self._lock:
            wait_time.add(self._wait_time)
            rejected, closed = self._rejected.copy(), dict(self._closed)
        # Only real waits are recorded one by one; every other checkout waited for no time.
        wait_time.counts[0] += max(0, checkouts - wait_time.count)
        return StatisticsSnapshot(
            checkouts,
            wait_time,
            use_time,
            create_time,
            timeouts=rejected["timeout"],
            shed=rejected["shed"],
            refused=rejected["refused"],
            closed=closed,
        )

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.RLock()


PARTS_PER_SECOND = 2**20


def histogram_to_dict(histogram: Histogram) -> dict[str, Any]:
    """Return a histogram as a JSON object, without the empty buckets at its end."""
    counts = list(histogram.counts)
    while counts and counts[-1] == 0:
        counts.pop()
    # In whole parts of 2^-20 s: these are added without any rounding, so that the sum over a fleet does not depend on
    # the order, and never shrinks by a last digit (which a reader of metrics takes for a counter that began anew).
    return {"counts": counts, "total": floor(histogram.total * PARTS_PER_SECOND) / PARTS_PER_SECOND}


def histogram_from_dict(fields: dict[str, Any] | None) -> Histogram:
    """Return the histogram of such an object; an empty one for none."""
    if not fields:
        return Histogram()
    counts = fields["counts"]
    return Histogram([*counts, *[0] * (BUCKET_COUNT - len(counts))], fields["total"])


def snapshot_to_dict(snapshot: StatisticsSnapshot) -> dict[str, Any]:
    """Return a pool's counters as a JSON object."""
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


def snapshot_from_dict(fields: dict[str, Any]) -> StatisticsSnapshot:
    """Return the counters of such an object."""
    return StatisticsSnapshot(
        fields["borrows"],
        histogram_from_dict(fields["waits"]),
        histogram_from_dict(fields["uses"]),
        histogram_from_dict(fields["creates"]),
        timeouts=fields["timeouts"],
        shed=fields["shed"],
        refused=fields["refused"],
        closed=dict(fields["closed"]),
    )
