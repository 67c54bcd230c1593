"""Published versions: what players see. The database's clock decides which are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, ScalarSelect, and_, bindparam, exists, or_, select
from sqlalchemy.orm import aliased

from webapp.db.page import Page, page_of
from webapp.db.timestamps import seconds_after, seconds_ago, utc_now
from webapp.db.types import NEVER
from webapp.errors import NotFoundError, QuizNotOpenError
from webapp.messages import join_messages, message
from webapp.quizzes.documents import QuizDocument, from_json
from webapp.quizzes.models import Quiz, QuizVersion
from webapp.quizzes.rules import AnswersShown, CountedAttempt, QuizRules


class QuizState(StrEnum):
    """The state of a version's window."""

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
    question_count: int
    rules: QuizRules
    now: datetime

    @property
    def title(self) -> str:
        """The title, which is a rule."""
        return self.rules.title

    @property
    def opens_at(self) -> datetime:
        """The beginning of the window."""
        return self.rules.opens_at

    @property
    def closes_at(self) -> datetime | None:
        """The end of the window; None where there is none."""
        return self.rules.closes_at

    @property
    def answers_shown(self) -> AnswersShown:
        """When players who have finished see the right answers."""
        return self.rules.answers_shown

    @property
    def is_unlisted(self) -> bool:
        """Whether no list that players see names it."""
        return self.rules.is_unlisted

    @property
    def keep_days(self) -> int | None:
        """The author's period after which attempts are deleted; None: the operator's."""
        return self.rules.keep_days

    @property
    def state(self) -> QuizState:
        """The state of the window when this was read."""
        if self.now < self.rules.opens_at:
            return QuizState.UPCOMING
        return QuizState.CLOSED if self.rules.has_closed(self.now) else QuizState.OPEN


@dataclass(frozen=True)
class PublishedVersion(VersionSummary):
    """A published version with its document."""

    document: QuizDocument


@dataclass(frozen=True)
class QuizId:
    """A quiz named by its id."""

    id: int


@dataclass(frozen=True)
class Slug:
    """A quiz named by its slug."""

    text: str


def not_open_error(version: VersionSummary) -> QuizNotOpenError | None:
    """Return why a version cannot be played at its `now`; None while its window is open."""
    if version.state is QuizState.UPCOMING:
        return QuizNotOpenError(message("The quiz opens on %(time)s.", time=version.opens_at))
    if version.state is QuizState.CLOSED:
        return QuizNotOpenError(closing_sentence(version.closes_at))
    return None


def too_late_error(closes_at: datetime | None) -> QuizNotOpenError:
    """Return the error of an answer that was sent after the window."""
    return QuizNotOpenError(
        join_messages(closing_sentence(closes_at), message("This answer came too late and was not saved."))
    )


def closing_sentence(closes_at: datetime | None) -> str:
    """Return when a quiz closed, as a sentence; without a time it was closed, and has been given no end since."""
    if closes_at is None:
        return message("The quiz was closed.")
    return message("The quiz closed on %(time)s.", time=closes_at)


_newer_version = aliased(QuizVersion)
IS_LATEST = ~exists(
    select(_newer_version.id).where(
        _newer_version.quiz_id == QuizVersion.quiz_id, _newer_version.number > QuizVersion.number
    )
).correlate(QuizVersion)
"""A condition of statements about quizzes: this version is the latest of its quiz."""
_PLAIN_RULES = (
    "title",
    "opens_at",
    "closes_at",
    "time_limit",
    "shuffles_questions",
    "shuffles_choices",
    "max_attempts",
    "attempt_pause",
    "is_unlisted",
    "keep_days",
)
"""Rules whose column has the same name and value."""
_SUMMARY_COLUMNS = (
    QuizVersion.id.label("version_id"),
    QuizVersion.quiz_id,
    Quiz.slug,
    QuizVersion.number,
    QuizVersion.question_count,
    *(getattr(QuizVersion, name) for name in _PLAIN_RULES),
    QuizVersion.answers_shown,
    QuizVersion.counted_attempt,
    utc_now().label("now"),
)


def rule_values(rules: QuizRules) -> dict[str, Any]:
    """Return rules as the values of their columns."""
    chosen = {"answers_shown": rules.chosen_answers_shown, "counted_attempt": rules.counted_attempt}
    return {name: getattr(rules, name) for name in _PLAIN_RULES} | chosen


def _summary_values(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    chosen = AnswersShown(row.answers_shown) if row.answers_shown else None
    counted = CountedAttempt(row.counted_attempt)
    plain = {name: getattr(row, name) for name in _PLAIN_RULES}
    rules = QuizRules(**plain, chosen_answers_shown=chosen, counted_attempt=counted)
    same = ("version_id", "quiz_id", "slug", "number", "question_count", "now")
    return {name: getattr(row, name) for name in same} | {"rules": rules}


def list_by_state(connection: Connection, state: QuizState, after: int | None, limit: int) -> Page[VersionSummary]:
    """Return the latest versions that are in this state, the newest first; those that are unlisted are left out."""
    query = select(*_SUMMARY_COLUMNS).join(Quiz, Quiz.id == QuizVersion.quiz_id)
    query = query.where(IS_LATEST, _in_state(state), QuizVersion.is_unlisted.is_(False))
    if after is not None:
        query = query.where(QuizVersion.id < after)
    rows = connection.execute(query.order_by(QuizVersion.id.desc()).limit(limit + 1)).all()
    return page_of([VersionSummary(**_summary_values(row)) for row in rows], limit, lambda summary: summary.version_id)


def current(connection: Connection, quiz: QuizId | Slug) -> PublishedVersion:
    """Return the latest version of a quiz, whether open or not.

    Raises:
        NotFoundError: when there is no such quiz, or it was never published.
    """
    condition = Quiz.id == quiz.id if isinstance(quiz, QuizId) else Quiz.slug == quiz.text
    return _load_one(connection, and_(condition, IS_LATEST))


def by_version(connection: Connection, version_id: int) -> PublishedVersion:
    """Return one version.

    Raises:
        NotFoundError: when there is none with this id.
    """
    return _load_one(connection, QuizVersion.id == version_id)


def list_by_ids(connection: Connection, version_ids: Sequence[int]) -> dict[int, VersionSummary]:
    """Return the versions with these ids that exist, by id."""
    query = select(*_SUMMARY_COLUMNS).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(QuizVersion.id.in_(version_ids))
    return {row.version_id: VersionSummary(**_summary_values(row)) for row in connection.execute(query)}


def list_versions(connection: Connection, quiz_id: int) -> Sequence[VersionSummary]:
    """Return the versions of a quiz, the newest first; the last hundred."""
    query = select(*_SUMMARY_COLUMNS).join(Quiz, Quiz.id == QuizVersion.quiz_id).where(QuizVersion.quiz_id == quiz_id)
    rows = connection.execute(query.order_by(QuizVersion.number.desc()).limit(100))
    return [VersionSummary(**_summary_values(row)) for row in rows]


def latest_summary(connection: Connection, quiz_id: int) -> VersionSummary | None:
    """Return the latest version of a quiz; None when it was never published."""
    return next(iter(list_versions(connection, quiz_id)), None)


GRACE_PARAMETER = "grace"
"""The parameter of `accepts_answers`: seconds after the end of a window in which answers are still accepted."""


def accepts_answers(version_id: int | ColumnElement[int], started_at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: an attempt takes answers, by the database's clock.

    The window is open, and the time of an attempt that has started then is not over.
    """
    grace_start = seconds_ago(bindparam(GRACE_PARAMETER, type_=Integer()))
    in_window = and_(QuizVersion.closes_at > grace_start, QuizVersion.opens_at <= utc_now())
    own_end = seconds_after(started_at, QuizVersion.time_limit)
    in_time = or_(QuizVersion.time_limit.is_(None), own_end > grace_start)
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, in_window, in_time))


def time_is_over(version_id: int | ColumnElement[int], started_at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: the own time of an attempt is over, and so is its grace."""
    grace_start = seconds_ago(bindparam(GRACE_PARAMETER, type_=Integer()))
    # NULL, where the version has no time limit, is not true.
    own_end = seconds_after(started_at, QuizVersion.time_limit)
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, own_end <= grace_start))


def closing_time(version_id: int | ColumnElement[int]) -> ScalarSelect[Any]:
    """Return when a version has closed, as a part of other features' statements; NULL until its grace is over, too."""
    grace_start = seconds_ago(bindparam(GRACE_PARAMETER, type_=Integer()))
    closed = and_(QuizVersion.id == version_id, QuizVersion.closes_at <= grace_start)
    return select(QuizVersion.closes_at).where(closed).scalar_subquery()


def has_no_end(version_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Return a condition for other features' statements: the version has no end."""
    return exists(select(QuizVersion.id).where(QuizVersion.id == version_id, QuizVersion.closes_at >= NEVER))


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
    return PublishedVersion(**_summary_values(row), document=from_json(row.document))
