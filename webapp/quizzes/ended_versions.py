"""Versions whose attempts are kept no longer: by the periods of author and operator, and the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, case, exists, func, or_, select

from webapp.db.timestamps import seconds_ago
from webapp.db.types import NEVER
from webapp.quizzes.models import QuizVersion

SECONDS_OF_A_DAY = 24 * 3600
_OPERATORS_DAYS = "keep_days"


def list_ended(connection: Connection, keep_days: int, after: int, limit: int) -> Sequence[int]:
    """Return the versions whose attempts are kept no longer by now, or may be such, by id.

    Of a version that has an end, it lies so long ago; of one that has none, each attempt has an end of its own.
    `keep_days` is the operator's period, 0 for none.
    """
    query = select(QuizVersion.id).where(QuizVersion.id > after, or_(_is_kept_no_longer(), _has_period()))
    parameters = {_OPERATORS_DAYS: keep_days}
    return connection.execute(query.order_by(QuizVersion.id).limit(limit), parameters).scalars().all()


def _kept_seconds() -> ColumnElement[int]:
    """Return for how long attempts at a version are kept: the shorter period of the two; NULL for ever."""
    operators = func.nullif(bindparam(_OPERATORS_DAYS, type_=Integer()), 0)
    authors = QuizVersion.keep_days
    return case((authors.is_(None), operators), (operators < authors, operators), else_=authors) * SECONDS_OF_A_DAY


def _is_kept_no_longer() -> ColumnElement[bool]:
    return QuizVersion.closes_at <= seconds_ago(_kept_seconds())


def _has_period() -> ColumnElement[bool]:
    return and_(QuizVersion.closes_at >= NEVER, _kept_seconds().is_not(None))


def closed_before(version_id: int, moment: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: the version has closed at this moment or before."""
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, QuizVersion.closes_at <= moment))
