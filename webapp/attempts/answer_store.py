"""The stored state of an attempt: its answers and, once it is finished, its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from webapp.attempts import scoring
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim, derive_attempt_id
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.rules import MAX_ATTEMPTS

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class AttemptState:
    """An attempt as stored; one that has no row yet has no answers."""

    answers: Mapping[int, int]
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None
    last_answered_at: datetime | None = None
    started_at: datetime | None = None
    """By the row; None where there is none."""
    is_erased: bool = False
    """Its player has erased it."""


@dataclass(frozen=True)
class StoredAttempt:
    """The row of an attempt, without its answers."""

    number: int
    started_at: datetime
    player_name: str
    finished_at: datetime | None
    erased_at: datetime | None


def find_last_attempt(connection: Connection, version_id: int, player_id: UUID) -> StoredAttempt | None:
    """Return the row of a player's last attempt at a version; None before the first answer.

    By the ids that its attempts would have: one that was erased does not know its player any more.
    """
    numbers = {derive_attempt_id(version_id, player_id, number): number for number in range(1, MAX_ATTEMPTS + 1)}
    columns = (Attempt.id, Attempt.started_at, Attempt.player_name, Attempt.finished_at, Attempt.erased_at)
    rows = connection.execute(select(*columns).where(Attempt.id.in_(numbers)))
    found = [StoredAttempt(numbers[row.id], *row[1:]) for row in rows]
    return max(found, key=lambda attempt: attempt.number, default=None)


def load_state(connection: Connection, claim: AttemptClaim) -> AttemptState:
    """Return the stored state of an attempt: item → chosen bits, and its score once it is finished."""
    rows = connection.execute(
        select(
            Attempt.started_at,
            Attempt.finished_at,
            Attempt.score,
            Attempt.milliseconds,
            Attempt.erased_at,
            Answer.item_id,
            Answer.chosen,
            Answer.answered_at,
        )
        .outerjoin(Answer, Answer.attempt_id == Attempt.id)
        .where(Attempt.id == claim.attempt_id)
    ).all()
    if not rows:
        return AttemptState({}, None, None, None)
    answers = {row.item_id: row.chosen for row in rows if row.item_id is not None}
    last = max((row.answered_at for row in rows if row.answered_at is not None), default=None)
    first = rows[0]
    return AttemptState(
        answers,
        first.finished_at,
        first.score,
        first.milliseconds,
        last,
        first.started_at,
        is_erased=first.erased_at is not None,
    )


def with_score(state: AttemptState, document: QuizDocument, started_at: datetime) -> AttemptState:
    """Return the state with its score, and with the time from the start to the last stored answer.

    Not to the finish: who has stored the same answers at the same moments has the same place, whether he presses
    Finish at once, later or never.
    """
    milliseconds = max(0, ((state.last_answered_at or started_at) - started_at) // MILLISECOND)
    return replace(state, score=scoring.score(document, state.answers), milliseconds=milliseconds)


def when_over(state: AttemptState, started_at: datetime) -> AttemptState:
    """Return the state of an attempt that takes no more answers: one that has a score is finished by its last one."""
    if state.finished_at is not None or state.score is None:
        return state
    return replace(state, finished_at=state.last_answered_at or started_at)
