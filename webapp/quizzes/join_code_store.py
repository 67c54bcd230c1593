"""Join codes in the database: made when a quiz is published, and read as one directory of all that can be joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from webapp.errors import NotFoundError
from webapp.messages import message
from webapp.quizzes import catalog_version
from webapp.quizzes.join_codes import new_code
from webapp.quizzes.models import Quiz, QuizVersion
from webapp.quizzes.published import IS_LATEST

CANDIDATES = 8
"""Codes that are tried at once. The unique index decides, should another transaction take the same one meanwhile."""
MAX_CODES = 20_000
"""Codes in a directory; a hundred bytes each."""


@dataclass(frozen=True)
class JoinCodeDirectory:
    """The codes of published quizzes: of all that are open or will be, and of those that closed last."""

    slugs: Mapping[str, str]
    """code → slug"""


def find(connection: Connection, quiz_id: int) -> str | None:
    """Return the code of a quiz; None where it has none yet.

    Raises:
        NotFoundError: when there is no such quiz.
    """
    row = connection.execute(select(Quiz.join_code).where(Quiz.id == quiz_id)).one_or_none()
    if row is None:
        raise NotFoundError(message("There is no quiz %(quiz)s.", quiz=quiz_id))
    code: str | None = row.join_code
    return code


def get_or_create(connection: Connection, quiz_id: int) -> str:
    """Return the code of a quiz, which gets one if it has none; every worker knows it within a second.

    Raises:
        NotFoundError: when there is no such quiz.
    """
    return find(connection, quiz_id) or renew(connection, quiz_id)


def renew(connection: Connection, quiz_id: int) -> str:
    """Give a quiz another code, and return it. The former one leads nowhere from now on.

    Raises:
        NotFoundError: when there is no such quiz.
    """
    candidates = [new_code() for _ in range(CANDIDATES)]
    taken = set(connection.execute(select(Quiz.join_code).where(Quiz.join_code.in_(candidates))).scalars())
    code = next(candidate for candidate in candidates if candidate not in taken)
    if connection.execute(update(Quiz).where(Quiz.id == quiz_id).values(join_code=code)).rowcount == 0:
        raise NotFoundError(message("There is no quiz %(quiz)s.", quiz=quiz_id))
    catalog_version.bump(connection)
    return code


def read_directory(connection: Connection) -> JoinCodeDirectory:
    """Return the codes of published quizzes; those without an end, and those that end last, come first."""
    rows = connection.execute(
        select(Quiz.join_code, Quiz.slug)
        .join(QuizVersion, QuizVersion.quiz_id == Quiz.id)
        .where(IS_LATEST, Quiz.join_code.is_not(None))
        .order_by(QuizVersion.closes_at.desc(), QuizVersion.id.desc())
        .limit(MAX_CODES)
    )
    return JoinCodeDirectory({row.join_code: row.slug for row in rows})
