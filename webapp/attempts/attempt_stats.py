"""Statistics of the attempts at a version, computed by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, func, select

from webapp.attempts.counting import is_counted
from webapp.attempts.models import Answer, Attempt, DeletedAttempts
from webapp.quizzes.rules import CountedAttempt


@dataclass(frozen=True)
class AttemptTotals:
    """The numbers of attempts begun and finished, and the means of score and time."""

    begun: int
    finished: int
    mean_score: float | None
    mean_milliseconds: float | None


@dataclass(frozen=True)
class ChoiceCount:
    """The number of players who chose exactly these choices of an item."""

    item_id: int
    chosen: int
    count: int


def count_attempts(
    connection: Connection, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST
) -> AttemptTotals:
    """Return the totals of a version; of each player one attempt counts."""
    counted = case((is_counted(counting), Attempt.score))
    row = connection.execute(
        select(
            # Every player has a first attempt.
            func.count(case((Attempt.number == 1, 1))),
            func.count(counted),
            func.avg(counted),
            func.avg(case((and_(Attempt.score.is_not(None), is_counted(counting)), Attempt.milliseconds))),
        ).where(Attempt.quiz_version_id == version_id, Attempt.erased_at.is_(None))
    ).one()
    mean_score, mean_milliseconds = (None if value is None else float(value) for value in row[2:])
    return AttemptTotals(row[0], row[1], mean_score, mean_milliseconds)


def deleted_totals(connection: Connection, version_id: int) -> AttemptTotals | None:
    """Return the totals of a version's attempts that were deleted after their period; None where there are none."""
    columns = DeletedAttempts.begun, DeletedAttempts.finished, DeletedAttempts.score, DeletedAttempts.milliseconds
    row = connection.execute(select(*columns).where(DeletedAttempts.quiz_version_id == version_id)).one_or_none()
    if row is None or not row.begun:
        return None
    means = (total / row.finished if row.finished else None for total in (row.score, row.milliseconds))
    return AttemptTotals(row.begun, row.finished, *means)


def count_choices(
    connection: Connection, version_id: int, counting: CountedAttempt = CountedAttempt.EARLIEST
) -> Sequence[ChoiceCount]:
    """Return the choices in finished attempts that count, counted by item and combination."""
    rows = connection.execute(
        select(Answer.item_id, Answer.chosen, func.count())
        .join(Attempt, Attempt.id == Answer.attempt_id)
        .where(Attempt.quiz_version_id == version_id, Attempt.score.is_not(None), is_counted(counting))
        .group_by(Answer.item_id, Answer.chosen)
    )
    return [ChoiceCount(*row) for row in rows]
