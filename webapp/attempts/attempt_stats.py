"""Statistics of the attempts at a version, computed by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, distinct, func, select

from webapp.attempts.counting import is_counted
from webapp.attempts.models import Answer, Attempt, DeletedAttempts
from webapp.quizzes.rules import CountedAttempt


@dataclass(frozen=True)
class AttemptTotals:
    """The numbers of attempts begun and scored, and sums of the scores and times of those that are scored."""

    begun: int
    finished: int
    mean_score: float | None
    mean_milliseconds: float | None
    score_sum: int = 0
    square_sum: int = 0
    """The sum of the squares of the scores."""


@dataclass(frozen=True)
class ChoiceCount:
    """How many players chose exactly these choices of an item, and how those of them did whose attempt is scored."""

    item_id: int
    chosen: int
    count: int
    """Also those who are still playing."""
    scored: int = 0
    score_sum: int = 0
    square_sum: int = 0
    """The sum of the squares of their scores."""


def count_attempts(
    connection: Connection, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST
) -> AttemptTotals:
    """Return the totals of a version; of each player one attempt counts."""
    counted = case((is_counted(counting), Attempt.score))
    # The first attempt of a player may have been erased or deleted, and a later one counts all the same.
    has_any = counting is not CountedAttempt.EARLIEST
    begun = func.count(distinct(Attempt.player_id)) if has_any else func.count(case((Attempt.number == 1, 1)))
    row = connection.execute(
        select(
            begun,
            func.count(counted),
            func.avg(counted),
            func.avg(case((and_(Attempt.score.is_not(None), is_counted(counting)), Attempt.milliseconds))),
            func.coalesce(func.sum(counted), 0),
            func.coalesce(func.sum(counted * counted), 0),
        ).where(Attempt.quiz_version_id == version_id, Attempt.erased_at.is_(None))
    ).one()
    mean_score, mean_milliseconds = (None if value is None else float(value) for value in row[2:4])
    return AttemptTotals(row[0], row[1], mean_score, mean_milliseconds, int(row[4]), int(row[5]))


def deleted_totals(connection: Connection, version_id: int) -> AttemptTotals | None:
    """Return the totals of a version's attempts that were deleted after their period; None where there are none."""
    columns = DeletedAttempts.begun, DeletedAttempts.finished, DeletedAttempts.score, DeletedAttempts.milliseconds
    row = connection.execute(select(*columns).where(DeletedAttempts.quiz_version_id == version_id)).one_or_none()
    if row is None or not row.begun:
        return None
    score, milliseconds = (total / row.finished if row.finished else None for total in (row.score, row.milliseconds))
    return AttemptTotals(row.begun, row.finished, score, milliseconds)


def count_choices(
    connection: Connection, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST
) -> Sequence[ChoiceCount]:
    """Return the choices that are stored in attempts that count, by item and combination, and in their order."""
    rows = connection.execute(
        select(
            Answer.item_id,
            Answer.chosen,
            func.count(),
            func.count(Attempt.score),
            func.coalesce(func.sum(Attempt.score), 0),
            func.coalesce(func.sum(Attempt.score * Attempt.score), 0),
        )
        .join(Attempt, Attempt.id == Answer.attempt_id)
        .where(Attempt.quiz_version_id == version_id, is_counted(counting))
        .group_by(Answer.item_id, Answer.chosen)
        .order_by(Answer.item_id, Answer.chosen)
    )
    # MySQL's sums are decimal numbers.
    return [ChoiceCount(*(int(value or 0) for value in row)) for row in rows]
