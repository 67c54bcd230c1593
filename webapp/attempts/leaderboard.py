"""The board: finished attempts at a version, the best first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from webapp.attempts.models import Attempt

MAX_PLACES = 100
MAX_RESULTS = 50_000
"""Results that a worker keeps of one version."""


@dataclass(frozen=True)
class RankedResult:
    """A line of the board; equal score and time share a rank."""

    rank: int
    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int


@dataclass(frozen=True)
class AttemptResult:
    """A finished attempt, as the board needs it."""

    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int
    finished_at: datetime | None


def top_places(connection: Connection, version_id: int, limit: int = MAX_PLACES) -> Sequence[RankedResult]:
    """Return the first places: more points first, then less time."""
    return rank_results(top_results(connection, version_id, min(limit, MAX_PLACES)))


def rank_results(results: Iterable[AttemptResult]) -> Sequence[RankedResult]:
    """Return the places of results, the best first; equal score and time share a rank."""
    places: list[RankedResult] = []
    for position, one in enumerate(results, start=1):
        before = places[-1] if places else None
        tied = before is not None and (before.score, before.milliseconds) == (one.score, one.milliseconds)
        rank = before.rank if tied and before is not None else position
        places.append(RankedResult(rank, one.attempt_id, one.player_name, one.score, one.milliseconds))
    return places


def top_results(connection: Connection, version_id: int, limit: int = MAX_RESULTS) -> Sequence[AttemptResult]:
    """Return finished attempts, the best first: more points, then less time."""
    ordered = _select_finished(version_id).order_by(Attempt.score.desc(), Attempt.milliseconds, Attempt.id)
    return [_to_result(row) for row in connection.execute(ordered.limit(limit))]


def finished_since(connection: Connection, version_id: int, since: datetime | None) -> Sequence[AttemptResult]:
    """Return attempts that finished at this moment or later, in any order; at most `MAX_RESULTS`."""
    query = _select_finished(version_id)
    if since is not None:
        query = query.where(Attempt.finished_at >= since)
    return [_to_result(row) for row in connection.execute(query.limit(MAX_RESULTS))]


def _select_finished(version_id: int) -> Select[*tuple[Any, ...]]:
    columns = (Attempt.id, Attempt.player_name, Attempt.score, Attempt.milliseconds, Attempt.finished_at)
    return select(*columns).where(Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))


def _to_result(row: Row[*tuple[Any, ...]]) -> AttemptResult:
    return AttemptResult(row[0], row[1], row[2], row[3] or 0, row[4])


def count_finished(connection: Connection, version_id: int) -> int:
    """Return how many attempts at the version are finished."""
    count = select(func.count()).select_from(Attempt)
    condition = (Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))
    return int(connection.execute(count.where(*condition)).scalar_one())
