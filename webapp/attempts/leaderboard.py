"""The leaderboard: finished attempts at a version, the best first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from webapp.attempts.counting import is_counted
from webapp.attempts.models import Attempt
from webapp.quizzes.rules import CountedAttempt

MAX_PLACES = 100
MAX_RESULTS = 50_000
"""Results of one version that a worker keeps in memory."""


@dataclass(frozen=True)
class RankedResult:
    """A line of the leaderboard; results with equal score and time share a rank."""

    rank: int
    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int


@dataclass(frozen=True)
class AttemptResult:
    """The result of a finished attempt."""

    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int
    finished_at: datetime | None
    player_id: uuid.UUID | None = None
    """Whose result it is; None where that was not read."""
    is_erased: bool = False
    """Its player has erased it, at `finished_at`: it has no result any more."""


def top_places(
    connection: Connection, version_id: int, limit: int = MAX_PLACES, counting: CountedAttempt = CountedAttempt.EARLIEST
) -> Sequence[RankedResult]:
    """Return the first places: by score, then by time. Of each player one attempt counts."""
    return rank_results(top_results(connection, version_id, min(limit, MAX_PLACES), counting))


def rank_results(results: Iterable[AttemptResult]) -> Sequence[RankedResult]:
    """Return ranked results from results that are sorted, the best first; equal score and time share a rank."""
    places: list[RankedResult] = []
    for position, result in enumerate(results, start=1):
        rank = position
        if places and (places[-1].score, places[-1].milliseconds) == (result.score, result.milliseconds):
            rank = places[-1].rank
        places.append(RankedResult(rank, result.attempt_id, result.player_name, result.score, result.milliseconds))
    return places


def top_results(
    connection: Connection,
    version_id: int,
    limit: int = MAX_RESULTS,
    counting: CountedAttempt = CountedAttempt.EARLIEST,
) -> Sequence[AttemptResult]:
    """Return the results of finished attempts, the best first: by score, then by time."""
    ordered = _select_finished(version_id, counting).order_by(Attempt.score.desc(), Attempt.milliseconds, Attempt.id)
    return [_to_result(row) for row in connection.execute(ordered.limit(limit))]


def finished_since(
    connection: Connection,
    version_id: int,
    since: datetime | None,
    counting: CountedAttempt = CountedAttempt.EARLIEST,
) -> Sequence[AttemptResult]:
    """Return the results of attempts that were finished or erased at this time or later, in any order.

    At most `MAX_RESULTS`.
    """
    is_result = and_(Attempt.score.is_not(None), is_counted(counting))
    query = _select_results(version_id).where(or_(is_result, Attempt.erased_at.is_not(None)))
    if since is not None:
        query = query.where(Attempt.finished_at >= since)
    return [_to_result(row) for row in connection.execute(query.limit(MAX_RESULTS))]


def _select_finished(version_id: int, counting: CountedAttempt) -> Select[*tuple[Any, ...]]:
    return _select_results(version_id).where(Attempt.score.is_not(None), is_counted(counting))


def _select_results(version_id: int) -> Select[*tuple[Any, ...]]:
    columns = (
        Attempt.id, Attempt.player_name, Attempt.score, Attempt.milliseconds, Attempt.finished_at, Attempt.player_id,
        Attempt.erased_at,
    )  # fmt: skip
    return select(*columns).where(Attempt.quiz_version_id == version_id)


def _to_result(row: Row[*tuple[Any, ...]]) -> AttemptResult:
    return AttemptResult(row[0], row[1], row[2] or 0, row[3] or 0, row[4], row[5], is_erased=row[6] is not None)


def count_finished(connection: Connection, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST) -> int:
    """Return how many players have finished the version."""
    count = select(func.count()).select_from(Attempt)
    condition = (Attempt.quiz_version_id == version_id, Attempt.score.is_not(None), is_counted(counting))
    return int(connection.execute(count.where(*condition)).scalar_one())
