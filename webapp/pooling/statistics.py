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
from math import frexp

BUCKETS = 64
OFFSET = 30
"""Bucket b counts durations from 2^(b - 31) up to 2^(b - 30) seconds: one nanosecond to centuries."""


def bucket(seconds: float) -> int:
    """Return the bucket of a duration in seconds."""
    return frexp(seconds + 1e-9)[1] + OFFSET


@dataclass(slots=True)
class Histogram:
    """Durations in seconds: how many in each bucket, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    total: float = 0.0

    def note(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bucket(seconds)] += 1
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
                return float(2.0 ** (number - OFFSET))
        return 0.0


@dataclass(slots=True)
class Ledger:
    """What happened in one place of the pool; written by whoever holds the place."""

    borrows: int = 0
    uses: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    used: float = 0.0
    creates: Histogram = field(default_factory=Histogram)


Route = tuple[str, str, int]
"""Method, rule and status of requests that were answered."""


class RequestStatistics:
    """How many statements requests needed, and how long which of them took."""

    def __init__(self, *, is_timing: bool = True) -> None:
        """Begin at nothing; without `is_timing` only statements are counted."""
        self._lock = threading.RLock()
        _all.add(self)
        self._is_timing = is_timing
        self.tell: Callable[[int], None] = _tell_nobody
        """Hears after each request how many there were."""
        self.requests = 0
        self.statements = 0
        self.most = 0
        self._routes: dict[Route, Histogram] = {}

    def note(self, statements: int) -> None:
        """Count a request that is over."""
        with self._lock:
            self.requests += 1
            self.statements += statements
            self.most = max(self.most, statements)
            self.tell(self.requests)

    def answered(self, method: str, rule: str, status: int, seconds: float) -> None:
        """Count an answer; `rule` is the route's, never a path, and names are few."""
        if not self._is_timing:
            return
        route = (method, rule, status)
        with self._lock:
            if (found := self._routes.get(route)) is None:
                found = self._routes[route] = Histogram()
            found.note(seconds)

    def routes(self) -> dict[Route, Histogram]:
        """Return how long answers took, by method, rule and status."""
        with self._lock:
            return {route: Histogram(one.counts.copy(), one.total) for route, one in self._routes.items()}


def _tell_nobody(requests: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Snapshot:
    """A pool's counters at one moment; all of them only grow."""

    borrows: int
    waits: Histogram
    """How long each borrower waited for its connection; those who did not wait stand in the lowest bucket."""
    uses: Histogram
    """How long connections were out."""
    creates: Histogram
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
        self._ledgers: deque[Ledger] = deque()
        self._unused: deque[Ledger] = deque()
        self._lock = threading.RLock()
        _all.add(self)
        self._waits = Histogram()
        self._turned_away: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()

    def take_ledger(self) -> Ledger:
        """Return a ledger for a new place."""
        try:
            return self._unused.pop()
        except IndexError:
            ledger = Ledger()
            self._ledgers.append(ledger)
            return ledger

    def give_ledger_back(self, ledger: Ledger) -> None:
        """Keep the ledger of a place that is no more for the next one."""
        self._unused.append(ledger)

    def waited(self, seconds: float) -> None:
        """Count a wait that ended with a connection."""
        with self._lock:
            self._waits.note(seconds)

    def turned_away(self, why: str) -> None:
        """Count a borrower who got nothing; `why` is timeout, shed or refused."""
        with self._lock:
            self._turned_away[why] += 1

    def closed(self, why: str) -> None:
        """Count a connection that was closed."""
        with self._lock:
            self._closed[why] += 1

    def snapshot(self) -> Snapshot:
        """Return the sums; what other threads count in this very moment may be missing."""
        uses, creates, waits, borrows = Histogram(), Histogram(), Histogram(), 0
        for ledger in self._ledgers.copy():
            borrows += ledger.borrows
            uses.add(Histogram(ledger.uses, ledger.used))
            creates.add(ledger.creates)
        with self._lock:
            waits.add(self._waits)
            turned_away, closed = self._turned_away.copy(), dict(self._closed)
        waits.counts[0] += max(0, borrows - waits.count)
        return Snapshot(
            borrows,
            waits,
            uses,
            creates,
            timeouts=turned_away["timeout"],
            shed=turned_away["shed"],
            refused=turned_away["refused"],
            closed=closed,
        )


_all: weakref.WeakSet[PoolStatistics | RequestStatistics] = weakref.WeakSet()


def _renew_locks() -> None:
    # Another thread of the parent may have held one at the moment of the fork; in the child nobody lets go of it.
    for statistics in list(_all):
        statistics._lock = threading.RLock()  # noqa: SLF001 - in its own module


os.register_at_fork(after_in_child=_renew_locks)
