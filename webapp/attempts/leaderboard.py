"""The board: finished attempts at a version, the best first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from webapp.attempts.models import Attempt

LONGEST_BOARD = 100
MOST_KEPT = 50_000
"""Results that a worker keeps of one version."""


@dataclass(frozen=True)
class Place:
    """A line of the board; equal score and time share a rank."""

    rank: int
    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int


@dataclass(frozen=True)
class Finished:
    """A finished attempt, as the board needs it."""

    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int
    finished_at: datetime | None


def top(connection: Connection, version_id: int, limit: int = LONGEST_BOARD) -> Sequence[Place]:
    """Return the first places: more points first, then less time."""
    return ranked(best(connection, version_id, min(limit, LONGEST_BOARD)))


def ranked(results: Iterable[Finished]) -> Sequence[Place]:
    """Return the places of results, the best first; equal score and time share a rank."""
    places: list[Place] = []
    for position, one in enumerate(results, start=1):
        before = places[-1] if places else None
        tied = before is not None and (before.score, before.milliseconds) == (one.score, one.milliseconds)
        rank = before.rank if tied and before is not None else position
        places.append(Place(rank, one.attempt_id, one.player_name, one.score, one.milliseconds))
    return places


def best(connection: Connection, version_id: int, limit: int = MOST_KEPT) -> Sequence[Finished]:
    """Return finished attempts, the best first: more points, then less time."""
    ordered = _finished(version_id).order_by(Attempt.score.desc(), Attempt.milliseconds, Attempt.id)
    return [_as_finished(row) for row in connection.execute(ordered.limit(limit))]


def finished_since(connection: Connection, version_id: int, since: datetime | None) -> Sequence[Finished]:
    """Return attempts that finished at this moment or later, in any order; at most `MOST_KEPT`."""
    query = _finished(version_id)
    if since is not None:
        query = query.where(Attempt.finished_at >= since)
    return [_as_finished(row) for row in connection.execute(query.limit(MOST_KEPT))]


def _finished(version_id: int) -> Select[*tuple[Any, ...]]:
    columns = (Attempt.id, Attempt.player_name, Attempt.score, Attempt.milliseconds, Attempt.finished_at)
    return select(*columns).where(Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))


def _as_finished(row: Row[*tuple[Any, ...]]) -> Finished:
    return Finished(row[0], row[1], row[2], row[3] or 0, row[4])


def finished_count(connection: Connection, version_id: int) -> int:
    """Return how many attempts at the version are finished."""
    count = select(func.count()).select_from(Attempt)
    condition = (Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))
    return int(connection.execute(count.where(*condition)).scalar_one())
