"""Attempts whose period is over are deleted with their answers; what stays of them is a sum for each version.

The period begins when the quiz closes, so that results and leaderboard stay whole until then; where a quiz has no end,
it begins when the attempt was finished. Deletion is by small batches, each a transaction of its own. A batch leaves out
attempts that another session has locked; a later one finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Table, bindparam, delete, func, insert, literal, or_, select, update

from webapp.attempts import overdue
from webapp.attempts.models import Answer, Attempt, DeletedAttempts, PeriodicTask
from webapp.attempts.time_limits import TimeLimits
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.db.types import UtcDateTime
from webapp.db.upsert import upsert_from
from webapp.quizzes import published
from webapp.quizzes.ended_versions import SECONDS_OF_A_DAY, closed_before
from webapp.quizzes.published import PublishedVersion

MAX_BATCH = 200
"""Attempts that one transaction deletes, with their answers."""
TASK = "retention"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""When a task that was never carried out was begun."""

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_task: Table = PeriodicTask.__table__  # type: ignore[assignment]
_deleted: Table = DeletedAttempts.__table__  # type: ignore[assignment]


def claim(connection: Connection, interval: int) -> bool:
    """Take the task, if it is due, so that no other worker does within `interval` seconds; say whether it was taken."""
    _ensure_task(connection)
    # A condition on the row's own column: of two workers that try at once, the second finds that it is not due.
    due = update(PeriodicTask).where(PeriodicTask.name == TASK, PeriodicTask.begun_at <= _SECONDS_AGO)
    return connection.execute(due.values(begun_at=utc_now()), {"seconds": interval}).rowcount > 0


def _ensure_task(connection: Connection) -> None:
    if connection.execute(select(PeriodicTask.name).where(PeriodicTask.name == TASK)).one_or_none() is None:
        rows = select(literal(TASK).label("name"), literal(LONG_AGO, UtcDateTime()).label("begun_at"))
        upsert_from(connection, _task, ["name", "begun_at"], rows.where(literal(1) == literal(1)), key=["name"])


def delete_batch(connection: Connection, version_id: int, limits: TimeLimits) -> int:
    """Delete attempts at a version whose period is over; return how many. At most `MAX_BATCH`."""
    version = published.by_version(connection, version_id)
    days = limits.kept_days(version.rules)
    if days is None:
        return 0
    # What nobody has finished gets its score first, whether or not anybody has ever read results.
    overdue.score_batch(connection, version, limits)
    ids = _lock(connection, version, days)
    if ids:
        _keep_sums(connection, version_id, ids)
        connection.execute(delete(Answer).where(Answer.attempt_id.in_(ids)))
        connection.execute(delete(Attempt).where(Attempt.id.in_(ids)))
    return len(ids)


def _lock(connection: Connection, version: PublishedVersion, days: int) -> Sequence[UUID]:
    query = select(Attempt.id).where(Attempt.quiz_version_id == version.version_id)
    if version.closes_at is None:
        query = query.where(Attempt.finished_at <= _SECONDS_AGO)
    else:
        # The rule is read again in the statement that locks: the author may have lengthened the window meanwhile.
        is_settled = or_(Attempt.score.is_not(None), Attempt.erased_at.is_not(None))
        query = query.where(is_settled, closed_before(version.version_id, _SECONDS_AGO))
    query = query.limit(MAX_BATCH).with_for_update(of=_attempt, skip_locked=True)
    return connection.execute(query, {"seconds": days * SECONDS_OF_A_DAY}).scalars().all()


_SECONDS_AGO: Any = seconds_ago(bindparam("seconds", type_=Integer()))


def _keep_sums(connection: Connection, version_id: int, ids: Sequence[UUID]) -> None:
    of_nobody = {"quiz_version_id": version_id, "begun": 0, "finished": 0, "score": 0, "milliseconds": 0}
    kept = DeletedAttempts.quiz_version_id == version_id
    if connection.execute(select(DeletedAttempts.begun).where(kept).with_for_update()).one_or_none() is None:
        connection.execute(insert(_deleted).values(of_nobody))
    # Those that their players have erased are not counted.
    sums = connection.execute(
        select(
            func.count(),
            func.count(Attempt.score),
            func.coalesce(func.sum(Attempt.score), 0),
            func.coalesce(func.sum(Attempt.milliseconds), 0),
        ).where(Attempt.id.in_(ids), Attempt.erased_at.is_(None))
    ).one()
    connection.execute(
        update(DeletedAttempts)
        .where(kept)
        .values(
            begun=DeletedAttempts.begun + int(sums[0]),
            finished=DeletedAttempts.finished + int(sums[1]),
            score=DeletedAttempts.score + int(sums[2] or 0),
            milliseconds=DeletedAttempts.milliseconds + int(sums[3] or 0),
        )
    )
