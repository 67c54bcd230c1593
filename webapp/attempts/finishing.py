"""Finishing: scored on the server from the stored answers, once, whatever is repeated."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, select, update

from webapp.attempts import answers, scoring
from webapp.attempts.answers import AttemptState
from webapp.attempts.models import Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.pooling.clock import utc_now
from webapp.quizzes.documents import QuizDocument


def finish(connection: Connection, claim: AttemptClaim, document: QuizDocument, grace: int = 0) -> AttemptState:
    """Score the attempt and return it; the second time and ever after, return the first result.

    What was answered in time counts, also when the quiz has closed in between; only an
    attempt without any answer cannot be begun after the window, and its `grace` in seconds.

    Raises:
        QuizNotOpenError: when there is nothing to score and the window is not open.
        AttemptExistsError: when the player has begun another attempt at this version.
    """
    # Exclusive from the first statement on: of two that finish at once, one waits and then reads.
    answers.ensure_row(connection, claim, grace)
    this_attempt = Attempt.id == claim.attempt_id
    unfinished = update(Attempt).where(this_attempt, Attempt.finished_at.is_(None))
    first = connection.execute(unfinished.values(finished_at=utc_now())).rowcount == 1
    stored = answers.load_state(connection, claim)
    if stored.finished_at is None:
        raise answers.rejection_error(connection, claim)
    if not first:
        return stored
    started_at = connection.execute(select(Attempt.started_at).where(this_attempt)).scalar_one()
    milliseconds = max(0, (stored.finished_at - started_at) // timedelta(milliseconds=1))
    score = scoring.score(document, stored.answers)
    connection.execute(update(Attempt).where(this_attempt).values(score=score, milliseconds=milliseconds))
    return AttemptState(stored.answers, stored.finished_at, score, milliseconds)
