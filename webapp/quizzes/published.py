"""Published versions: what players see. The database's clock says which are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, exists, select
from sqlalchemy.orm import aliased

from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import NotFoundError
from webapp.quizzes.documents import QuizDocument, from_json
from webapp.quizzes.models import Quiz, QuizVersion


class QuizState(StrEnum):
    """Where the clock stands in a version's window."""

    UPCOMING = "upcoming"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class VersionSummary:
    """A line in a list of published quizzes; `now` is the database's time when it was read."""

    version_id: int
    quiz_id: int
    slug: str
    number: int
    title: str
    question_count: int
    opens_at: datetime
    closes_at: datetime
    now: datetime

    @property
    def state(self) -> QuizState:
        """Where the clock stood in the window when this was read."""
        if self.now < self.opens_at:
            return QuizState.UPCOMING
        return QuizState.OPEN if self.now < self.closes_at else QuizState.CLOSED


@dataclass(frozen=True)
class PublishedVersion(VersionSummary):
    """A published version with its document."""

    document: QuizDocument

    def as_of(self, now: datetime) -> PublishedVersion:
        """Return the same at another moment; what `dataclasses.replace` does, at a fifth of the time."""
        later = object.__new__(PublishedVersion)
        later.__dict__.update(self.__dict__, now=now)
        return later


@dataclass(frozen=True)
class VersionPage:
    """A page of lines and, when there are more, the version id to go on after."""

    rows: Sequence[VersionSummary]
    next_after: int | None


@dataclass(frozen=True)
class QuizId:
    """A quiz named by its id."""

    id: int


@dataclass(frozen=True)
class Slug:
    """A quiz named by its slug."""

    text: str


_newer_version = aliased(QuizVersion)
_IS_LATEST = ~exists(
    select(_newer_version.id).where(
        _newer_version.quiz_id == QuizVersion.quiz_id, _newer_version.number > QuizVersion.number
    )
).correlate(QuizVersion)
_SUMMARY_COLUMNS = (
    QuizVersion.id.label("version_id"),
    QuizVersion.quiz_id,
    Quiz.slug,
    QuizVersion.number,
    QuizVersion.title,
    QuizVersion.question_count,
    QuizVersion.opens_at,
    QuizVersion.closes_at,
    utc_now().label("now"),
)


def list_by_state(connection: Connection, state: QuizState, after: int | None, limit: int) -> VersionPage:
    """Return the latest versions that are in this state, the newest first."""
    query = select(*_SUMMARY_COLUMNS).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(_IS_LATEST, _in_state(state))
    if after is not None:
        query = query.where(QuizVersion.id < after)
    found = connection.execute(query.order_by(QuizVersion.id.desc()).limit(limit + 1)).all()
    rows = [VersionSummary(*row) for row in found]
    return VersionPage(rows[:limit], rows[limit - 1].version_id if len(rows) > limit else None)


def current(connection: Connection, quiz: QuizId | Slug) -> PublishedVersion:
    """Return the latest version of a quiz, whether open or not.

    Raises:
        NotFoundError: when there is no such quiz, or it was never published.
    """
    condition = Quiz.id == quiz.id if isinstance(quiz, QuizId) else Quiz.slug == quiz.text
    return _load_one(connection, and_(condition, _IS_LATEST))


def by_version(connection: Connection, version_id: int) -> PublishedVersion:
    """Return one version.

    Raises:
        NotFoundError: when there is none with this id.
    """
    return _load_one(connection, QuizVersion.id == version_id)


def list_versions(connection: Connection, quiz_id: int) -> Sequence[VersionSummary]:
    """Return the versions of a quiz, the newest first; the last hundred."""
    query = select(*_SUMMARY_COLUMNS).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(QuizVersion.quiz_id == quiz_id)
    return [VersionSummary(*row) for row in connection.execute(query.order_by(QuizVersion.number.desc()).limit(100))]


GRACE_PARAMETER = "grace"
"""The parameter of `accepts_answers`: seconds after its end in which a window still lets in what was under way."""


def accepts_answers(version_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: the version takes answers, by the database's clock."""
    late = seconds_ago(bindparam(GRACE_PARAMETER, type_=Integer()))
    in_window = and_(QuizVersion.closes_at > late, QuizVersion.opens_at <= utc_now())
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, in_window))


def _in_state(state: QuizState) -> ColumnElement[bool]:
    if state is QuizState.UPCOMING:
        return and_(QuizVersion.closes_at > utc_now(), QuizVersion.opens_at > utc_now())
    if state is QuizState.OPEN:
        return and_(QuizVersion.closes_at > utc_now(), QuizVersion.opens_at <= utc_now())
    return QuizVersion.closes_at <= utc_now()


def _load_one(connection: Connection, condition: ColumnElement[bool]) -> PublishedVersion:
    query = select(*_SUMMARY_COLUMNS, QuizVersion.document).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(condition)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("There is no such quiz, or it has not been published.")
    return PublishedVersion(**row._asdict() | {"document": from_json(row.document)})
