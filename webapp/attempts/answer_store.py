"""Stores answers and scores: one row for each item, however often it is sent, and none after the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, literal, select, true, union_all, update

from webapp.attempts import scoring
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import utc_now
from webapp.db.types import UtcDateTime
from webapp.db.upsert import upsert_from
from webapp.errors import AttemptExistsError, AttemptFinishedError, QuizNotOpenError
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument

MILLISECOND = timedelta(milliseconds=1)

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]


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


def save(connection: Connection, claim: AttemptClaim, chosen: Mapping[int, int], grace: int = 0) -> None:
    """Store answers (item → chosen bits), all or none; a repeat replaces the earlier choice.

    The statement that writes also checks the window and the attempt's finish, on the database's clock, so that no time
    passes between check and write. `grace` in seconds.

    Raises:
        QuizNotOpenError: before the window opens and from its last moment on.
        AttemptFinishedError: when the attempt has been scored.
        AttemptExistsError: when the player has begun another attempt at this version.
    """
    if not chosen:
        return
    # This locks the attempt's row, as finish does: an answer is either scored or refused.
    ensure_row(connection, claim, grace)
    sent = union_all(
        *(select(literal(item).label("item_id"), literal(bits).label("chosen")) for item, bits in chosen.items())
    ).subquery("sent")
    rows = (
        select(_attempt.c.id, sent.c.item_id, sent.c.chosen, utc_now())
        .select_from(_attempt.join(sent, true()))
        .where(
            _attempt.c.id == claim.attempt_id,
            _attempt.c.finished_at.is_(None),
            published.accepts_answers(claim.version_id),
        )
    )
    columns = ["attempt_id", "item_id", "chosen", "answered_at"]
    written = upsert_from(
        connection,
        _answer,
        columns,
        rows,
        key=["attempt_id", "item_id"],
        replace=["chosen", "answered_at"],
        parameters={published.GRACE_PARAMETER: grace},
    )
    if written == 0:
        raise rejection_error(connection, claim)


def ensure_row(connection: Connection, claim: AttemptClaim, grace: int = 0) -> None:
    """Insert the attempt's row if the window is open and it has none; afterwards the row is locked."""
    row = select(
        literal(claim.attempt_id, _attempt.c.id.type),
        literal(claim.version_id),
        literal(claim.player_id, _attempt.c.player_id.type),
        literal(claim.player_name),
        literal(claim.started_at, UtcDateTime()),
    ).where(published.accepts_answers(claim.version_id))
    columns = ["id", "quiz_version_id", "player_id", "player_name", "started_at"]
    upsert_from(connection, _attempt, columns, row, key=["id"], parameters={published.GRACE_PARAMETER: grace})


def rejection_error(
    connection: Connection, claim: AttemptClaim
) -> QuizNotOpenError | AttemptFinishedError | AttemptExistsError:
    """Return why nothing could be written; it is read afterwards, for the message only."""
    if load_state(connection, claim).finished_at is not None:
        return AttemptFinishedError("The attempt is finished; its answers can no longer change.")
    version = published.by_version(connection, claim.version_id)
    if version.state is published.QuizState.CLOSED:
        return published.too_late_error(version.closes_at)
    return published.not_open_error(version) or AttemptExistsError(
        "You have begun this quiz in another attempt; continue there."
    )


def finish(connection: Connection, claim: AttemptClaim, document: QuizDocument, grace: int = 0) -> AttemptState:
    """Score the attempt and return it; every further call returns the first result.

    Answers that were stored in time count also when the quiz has closed since; but an attempt without a row cannot be
    stored after the window and its `grace` in seconds.

    Raises:
        QuizNotOpenError: when there is nothing to score and the window is not open.
        AttemptExistsError: when the player has begun another attempt at this version.
    """
    # The row lock is exclusive from the first statement on: of two concurrent finishes one waits, and reads the result.
    ensure_row(connection, claim, grace)
    this_attempt = Attempt.id == claim.attempt_id
    unfinished = update(Attempt).where(this_attempt, Attempt.finished_at.is_(None))
    first = connection.execute(unfinished.values(finished_at=utc_now())).rowcount == 1
    stored = load_state(connection, claim)
    if stored.finished_at is None:
        raise rejection_error(connection, claim)
    if not first:
        return stored
    started_at = connection.execute(select(Attempt.started_at).where(this_attempt)).scalar_one()
    scored = with_score(stored, document, started_at, stored.finished_at)
    connection.execute(update(Attempt).where(this_attempt).values(score=scored.score, milliseconds=scored.milliseconds))
    return scored


def with_score(
    state: AttemptState, document: QuizDocument, started_at: datetime, finished_at: datetime
) -> AttemptState:
    """Return the state with its score, and with the time from start to finish by the database's clock."""
    milliseconds = max(0, (finished_at - started_at) // MILLISECOND)
    return AttemptState(state.answers, finished_at, scoring.score(document, state.answers), milliseconds)
