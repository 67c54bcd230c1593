"""The board in this worker's memory: one small read for each worker and second, whoever asks.

Only attempts that finished since the last read are asked for, and a little before: what was
being committed then is found now. Everything is read anew once a minute, for what took longer.
"""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from webapp.attempts import leaderboard
from webapp.attempts.leaderboard import LONGEST_BOARD, Finished, Place
from webapp.pooling.shared import SharedRead

SECONDS = 1.0
OVERLAP = timedelta(seconds=5)
ANEW_AFTER = 60.0
"""Seconds."""
MOST = 200
"""Versions whose boards are kept."""

Read = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Standings:
    """A board at one moment."""

    results: Sequence[tuple[int, int]]
    """Every result that is known, as (−score, milliseconds), the best first."""
    finished: int
    """How many have finished; more than `results` where these are too many to keep."""
    places: Sequence[Place]

    def rank(self, score: int, milliseconds: int) -> int:
        """Return the rank of a result, 1 being the best."""
        return bisect_left(self.results, (-score, milliseconds)) + 1

    def places_with(self, own: Finished, most: int) -> Sequence[Place]:
        """Return the first places, with this result among them although it may have come after the read."""
        if any(place.attempt_id == own.attempt_id for place in self.places):
            return self.places[:most]
        others = (Finished(one.attempt_id, one.player_name, one.score, one.milliseconds, None) for one in self.places)
        return leaderboard.ranked(sorted([*others, own], key=_order))[:most]


@dataclass
class _Known:
    """What was read so far of one version."""

    results: list[tuple[int, int]] = field(default_factory=list)
    ids: set[uuid.UUID] = field(default_factory=set)
    best: list[Finished] = field(default_factory=list)
    latest: datetime | None = None
    finished: int = 0

    def add(self, rows: Iterable[Finished]) -> None:
        for row in rows:
            if row.attempt_id in self.ids:
                continue
            self.ids.add(row.attempt_id)
            self.finished += 1
            insort(self.results, (-row.score, row.milliseconds))
            insort(self.best, row, key=_order)
            del self.best[LONGEST_BOARD:]
            if row.finished_at is not None:
                self.latest = max(self.latest or row.finished_at, row.finished_at)

    def standings(self) -> Standings:
        return Standings(self.results.copy(), self.finished, leaderboard.ranked(self.best))


def _order(one: Finished) -> tuple[int, int, uuid.UUID]:
    return -one.score, one.milliseconds, one.attempt_id


class _Board:
    """The board of one version."""

    def __init__(self, read: Read, version_id: int, seconds: float) -> None:
        self._read = read
        self._version_id = version_id
        self._known = _Known()
        self._anew_at = 0.0
        self.shared: SharedRead[Standings] = SharedRead(self._refresh, seconds)

    def _refresh(self) -> Standings:
        if time.monotonic() >= self._anew_at:
            self._read_all()
        else:
            self._read_new()
        return self._known.standings()

    def _read_all(self) -> None:
        with self._read() as connection:
            rows = leaderboard.best(connection, self._version_id)
            finished = leaderboard.finished_count(connection, self._version_id)
        known = _Known()
        known.add(rows)
        known.finished = max(finished, known.finished)
        self._known, self._anew_at = known, time.monotonic() + ANEW_AFTER

    def _read_new(self) -> None:
        since = None if self._known.latest is None else self._known.latest - OVERLAP
        with self._read() as connection:
            rows = leaderboard.finished_since(connection, self._version_id, since)
        self._known.add(rows)


class Boards:
    """The boards that this worker has been asked for."""

    def __init__(self, read: Read, seconds: float = SECONDS) -> None:
        """Read with connections of `read`; a board is at most `seconds` old, and the time of a read."""
        self._read = read
        self._seconds = seconds
        self._kept: dict[int, _Board] = {}

    def standings(self, version_id: int) -> Standings:
        """Return the board of a version."""
        found = self._kept.get(version_id)
        if found is None:
            if len(self._kept) >= MOST:
                self._kept = {}
            found = self._kept.setdefault(version_id, _Board(self._read, version_id, self._seconds))
        return found.shared.get()
