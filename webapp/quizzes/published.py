"""Published versions: what players see. The database's clock says which are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, exists, select
from sqlalchemy.orm import aliased

from webapp.errors import NotFoundError
from webapp.pooling.clock import seconds_ago, utc_now
from webapp.quizzes.documents import Document, from_json
from webapp.quizzes.models import Quiz, QuizVersion


class State(StrEnum):
    """Where the clock stands in a version's window."""

    UPCOMING = "upcoming"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class Listed:
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
    def state(self) -> State:
        """Where the clock stood in the window when this was read."""
        if self.now < self.opens_at:
            return State.UPCOMING
        return State.OPEN if self.now < self.closes_at else State.CLOSED


@dataclass(frozen=True)
class Version(Listed):
    """A published version with its document."""

    document: Document

    def at(self, now: datetime) -> Version:
        """Return the same at another moment; what `dataclasses.replace` does, at a fifth of the time."""
        later = object.__new__(Version)
        later.__dict__.update(self.__dict__, now=now)
        return later


@dataclass(frozen=True)
class Listing:
    """A page of lines and, when there are more, the version id to go on after."""

    rows: Sequence[Listed]
    next_after: int | None


@dataclass(frozen=True)
class QuizId:
    """A quiz named by its id."""

    id: int


@dataclass(frozen=True)
class Slug:
    """A quiz named by its slug."""

    text: str


_later = aliased(QuizVersion)
_IS_LATEST = ~exists(
    select(_later.id).where(_later.quiz_id == QuizVersion.quiz_id, _later.number > QuizVersion.number)
).correlate(QuizVersion)
_LINE = (
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


def listing(connection: Connection, state: State, after: int | None, limit: int) -> Listing:
    """Return the latest versions that are in this state, the newest first."""
    query = select(*_LINE).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(_IS_LATEST, _in_state(state))
    if after is not None:
        query = query.where(QuizVersion.id < after)
    found = connection.execute(query.order_by(QuizVersion.id.desc()).limit(limit + 1)).all()
    rows = [Listed(*row) for row in found]
    return Listing(rows[:limit], rows[limit - 1].version_id if len(rows) > limit else None)


def current(connection: Connection, which: QuizId | Slug) -> Version:
    """Return the latest version of a quiz, whether open or not.

    Raises:
        NotFoundError: when there is no such quiz, or it was never published.
    """
    condition = Quiz.id == which.id if isinstance(which, QuizId) else Quiz.slug == which.text
    return _one(connection, and_(condition, _IS_LATEST))


def by_version(connection: Connection, version_id: int) -> Version:
    """Return one version.

    Raises:
        NotFoundError: when there is none with this id.
    """
    return _one(connection, QuizVersion.id == version_id)


def all_versions(connection: Connection, quiz_id: int) -> Sequence[Listed]:
    """Return the versions of a quiz, the newest first; the last hundred."""
    query = select(*_LINE).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(QuizVersion.quiz_id == quiz_id)
    return [Listed(*row) for row in connection.execute(query.order_by(QuizVersion.number.desc()).limit(100))]


GRACE = "grace"
"""The parameter of `takes_answers`: seconds after its end in which a window still lets in what was under way."""


def takes_answers(version_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: the version takes answers, by the database's clock."""
    late = seconds_ago(bindparam(GRACE, type_=Integer()))
    in_window = and_(QuizVersion.closes_at > late, QuizVersion.opens_at <= utc_now())
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, in_window))


def _in_state(state: State) -> ColumnElement[bool]:
    if state is State.UPCOMING:
        return and_(QuizVersion.closes_at > utc_now(), QuizVersion.opens_at > utc_now())
    if state is State.OPEN:
        return and_(QuizVersion.closes_at > utc_now(), QuizVersion.opens_at <= utc_now())
    return QuizVersion.closes_at <= utc_now()


def _one(connection: Connection, condition: ColumnElement[bool]) -> Version:
    query = select(*_LINE, QuizVersion.document).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(condition)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("There is no such quiz, or it has not been published.")
    return Version(**row._asdict() | {"document": from_json(row.document)})
