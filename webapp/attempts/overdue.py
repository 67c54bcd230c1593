"""Attempts whose time is over although nobody has pressed Finish: what is stored of them is scored.

First their rows are locked; those that another session has locked, and so is scoring or finishing, are left out. Then
one statement scores them. It is a statement of its own because it must see every answer that was committed before its
attempt was locked: a statement reads what was committed when it began.

An attempt whose quiz has closed stays unfinished, so that it goes on when the window is lengthened; it is scored anew
when the quiz closes again. One whose own time is over, or that was given up in a quiz without an end, is finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    update,
)

from webapp.attempts.json_rowset import encode_rows, number_column, rowset
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.scoring import right_bits
from webapp.attempts.time_limits import TimeLimits
from webapp.db.timestamps import milliseconds_between, seconds_ago, utc_now
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion

MAX_BATCH = 500
"""Attempts that one statement scores."""

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]


def score_batch(
    connection: Connection, version: PublishedVersion, limits: TimeLimits, attempt_id: UUID | None = None
) -> int:
    """Score attempts at a version whose time is over, or this one alone; return how many. At most `MAX_BATCH`."""
    overdue = _lock(connection, version, limits, attempt_id)
    for finishes in (True, False):
        ids = [row.id for row in overdue if bool(row.finishes) is finishes]
        if ids:
            parameters = {"ids": ids, **_encode_key(version.document)}
            connection.execute(_score(connection.dialect.name, finishes=finishes), parameters)
    return len(overdue)


def has_unscored(connection: Connection, version: PublishedVersion, limits: TimeLimits) -> bool:
    """Say whether there is an attempt whose time is over and that is not scored, as far as is committed."""
    query = select(exists(_overdue(version.closes_at is not None, version.rules.time_limit is not None)))
    return bool(connection.execute(query, _parameters(version, limits)).scalar_one())


def _lock(
    connection: Connection, version: PublishedVersion, limits: TimeLimits, attempt_id: UUID | None
) -> Sequence[Any]:
    query = _overdue(version.closes_at is not None, version.rules.time_limit is not None)
    parameters = _parameters(version, limits)
    if attempt_id is not None:
        query, parameters = query.where(_attempt.c.id.in_(_IDS)), {**parameters, "ids": [attempt_id]}
    elif version.rules.time_limit is not None:
        # Others may be playing: a lock on each row that is looked at would hold up their answers.
        ids = connection.execute(query.limit(MAX_BATCH), parameters).scalars().all()
        if not ids:
            return []
        query, parameters = query.where(_attempt.c.id.in_(_IDS)), {**parameters, "ids": ids}
    locking = query.limit(MAX_BATCH).with_for_update(of=_attempt, skip_locked=True)
    return connection.execute(locking, parameters).all()


def _parameters(version: PublishedVersion, limits: TimeLimits) -> dict[str, Any]:
    parameters = {"version": version.version_id}
    if version.closes_at is None:
        parameters["ttl"] = limits.ttl
    if version.closes_at is not None or version.rules.time_limit is not None:
        parameters[published.GRACE_PARAMETER] = limits.grace
    return parameters


def _encode_key(document: QuizDocument) -> dict[str, str]:
    return encode_rows([question.item_id, right_bits(question), question.points] for question in document.questions)


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_VERSION: BindParameter[int] = bindparam("version", type_=Integer())


@cache
def _overdue(has_end: bool, has_time_limit: bool) -> Select[Any]:  # noqa: FBT001 - two facts about a version
    """Select the attempts whose time is over, by the database's clock and its present rules, and that have no score.

    `finishes` says of each whether it is finished for good, by its own time or because it was given up.
    """
    finishes: list[ColumnElement[bool]] = [] if has_end else [_given_up()]
    if has_time_limit:
        finishes.append(published.time_is_over(_VERSION, _attempt.c.started_at))
    is_over = [*finishes, _closed()] if has_end else finishes
    columns = (_attempt.c.id, or_(false(), *finishes).label("finishes"))
    return select(*columns).where(
        _attempt.c.quiz_version_id == _VERSION, _attempt.c.finished_at.is_(None), or_(*is_over)
    )


def _closed() -> ColumnElement[bool]:
    closed_at = published.closing_time(_VERSION)
    # One that was scored before this end was scored at an earlier one.
    return or_(and_(_attempt.c.scored_at.is_(None), closed_at.is_not(None)), _attempt.c.scored_at < closed_at)


def _given_up() -> ColumnElement[bool]:
    began_before = seconds_ago(bindparam("ttl", type_=Integer()))
    return and_(_attempt.c.started_at <= began_before, published.has_no_end(_VERSION))


@cache
def _score(dialect: str, *, finishes: bool) -> Executable:
    key = rowset(dialect, "answer_key", [number_column("item"), number_column("bits"), number_column("points")])
    is_right = and_(key.c.item == _answer.c.item_id, key.c.bits == _answer.c.chosen)
    of_attempt = _answer.c.attempt_id == _attempt.c.id
    # Every stored answer is to an item that its player has: others are refused.
    points = func.coalesce(func.sum(key.c.points), 0)
    score = select(points).select_from(_answer.join(key, is_right)).where(of_attempt).correlate(_attempt)
    last = select(func.max(_answer.c.answered_at)).where(of_attempt).correlate(_attempt).scalar_subquery()
    taken = milliseconds_between(_attempt.c.started_at, last)
    values: dict[str, Any] = {
        "score": score.scalar_subquery(),
        # Zero without an answer, and for one that came before the start by the clock of a worker.
        "milliseconds": case((taken > 0, taken), else_=0),
        "scored_at": utc_now(),
    }
    if finishes:
        values["finished_at"] = func.coalesce(last, _attempt.c.started_at)
    return update(_attempt).where(_attempt.c.id.in_(_IDS)).values(values)
