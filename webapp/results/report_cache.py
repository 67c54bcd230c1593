"""Reports in this worker's memory: pages that follow a quiz live ask every two seconds and share one read.

A page asks again and again for what is newer than what it has, and is answered at once, mostly with nothing. No
connection and no thread is held while it waits. A response that is held back until something changes would save
requests of the few authors who watch, and would need a message from whichever worker has stored an answer.

A report reads all answers of a version. So it is read once a second at most, and the longer a read takes the more
seldom: reading never takes more than a twentieth of one connection of a worker, however many watch.
"""

from __future__ import annotations

import time

from poolproof.transactions.cached_read import SingleFlightCache
from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.results.reports import QuizReport, load_report

TTL = 1.0
"""Seconds."""
PAUSE_FACTOR = 20.0
"""The time between two reads, as a multiple of the time that a read takes."""
MAX_CACHED = 50
"""Quizzes whose reports are kept."""


class _CachedReport:
    """The report of one quiz."""

    def __init__(self, connect: ConnectionFactory, quiz_id: int, ttl: float) -> None:
        self._connect = connect
        self._quiz_id = quiz_id
        self._latest: QuizReport | None = None
        self._next_read_at = 0.0
        self.cache: SingleFlightCache[QuizReport] = SingleFlightCache(self._load, ttl)

    def _load(self) -> QuizReport:
        began_at = time.monotonic()
        if self._latest is not None and began_at < self._next_read_at:
            return self._latest
        with self._connect() as connection:
            report = load_report(connection, self._quiz_id)
        took = time.monotonic() - began_at
        self._latest, self._next_read_at = report, began_at + took + PAUSE_FACTOR * took
        return report


class ReportCache:
    """The reports that were asked for of this worker."""

    def __init__(self, connect: ConnectionFactory, ttl: float = TTL) -> None:
        """Read on connections of `connect`; a report is at most `ttl` seconds old, or twenty times as its read took."""
        self._connect = connect
        self._ttl = ttl
        self._cached: dict[int, _CachedReport] = {}

    def get(self, quiz_id: int) -> QuizReport:
        """Return the report of a quiz.

        Raises:
            NotFoundError: when the quiz was never published.
        """
        cached = self._cached.get(quiz_id)
        if cached is None:
            if len(self._cached) >= MAX_CACHED:
                self._cached = {}
            cached = self._cached.setdefault(quiz_id, _CachedReport(self._connect, quiz_id, self._ttl))
        return cached.cache.get()
