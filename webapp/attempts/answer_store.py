"""The stored state of an attempt: its answers and, once it is finished, its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from webapp.attempts import scoring
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.documents import QuizDocument

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class AttemptState:
    """An attempt as stored; one that has no row yet has no answers."""

    answers: Mapping[int, int]
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None


def load_state(connection: Connection, claim: AttemptClaim) -> AttemptState:
    """Return the stored state of an attempt: item → chosen bits, and its score once it is finished."""
    rows = connection.execute(
        select(Attempt.finished_at, Attempt.score, Attempt.milliseconds, Answer.item_id, Answer.chosen)
        .outerjoin(Answer, Answer.attempt_id == Attempt.id)
        .where(Attempt.id == claim.attempt_id)
    ).all()
    if not rows:
        return AttemptState({}, None, None, None)
    answers = {row.item_id: row.chosen for row in rows if row.item_id is not None}
    return AttemptState(answers, rows[0].finished_at, rows[0].score, rows[0].milliseconds)


def with_score(
    state: AttemptState, document: QuizDocument, started_at: datetime, finished_at: datetime
) -> AttemptState:
    """Return the state with its score, and with the time from start to finish by the database's clock."""
    milliseconds = max(0, (finished_at - started_at) // MILLISECOND)
    return AttemptState(state.answers, finished_at, scoring.score(document, state.answers), milliseconds)
