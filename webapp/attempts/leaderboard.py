"""The board: finished attempts at a version, the best first."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from webapp.attempts.models import Attempt

LONGEST_BOARD = 100


@dataclass(frozen=True)
class Place:
    """A line of the board; equal score and time share a rank."""

    rank: int
    attempt_id: uuid.UUID
    player_name: str
    score: int
    milliseconds: int


def top(connection: Connection, version_id: int, limit: int = LONGEST_BOARD) -> Sequence[Place]:
    """Return the first places: more points first, then less time."""
    rows = connection.execute(
        select(Attempt.id, Attempt.player_name, Attempt.score, Attempt.milliseconds)
        .where(Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))
        .order_by(Attempt.score.desc(), Attempt.milliseconds, Attempt.id)
        .limit(min(limit, LONGEST_BOARD))
    ).all()
    places: list[Place] = []
    for position, row in enumerate(rows, start=1):
        before = places[-1] if places else None
        tied = before is not None and (before.score, before.milliseconds) == (row.score, row.milliseconds)
        places.append(Place(before.rank if tied and before else position, row[0], row[1], row[2] or 0, row[3] or 0))
    return places


def rank(connection: Connection, version_id: int, score: int, milliseconds: int) -> int:
    """Return the rank that this result has on the board, 1 being the best."""
    better = or_(Attempt.score > score, and_(Attempt.score == score, Attempt.milliseconds < milliseconds))
    count = select(func.count()).select_from(Attempt).where(Attempt.quiz_version_id == version_id, better)
    return int(connection.execute(count).scalar_one()) + 1


def finished_count(connection: Connection, version_id: int) -> int:
    """Return how many attempts at the version are finished."""
    count = select(func.count()).select_from(Attempt)
    condition = (Attempt.quiz_version_id == version_id, Attempt.score.is_not(None))
    return int(connection.execute(count.where(*condition)).scalar_one())
