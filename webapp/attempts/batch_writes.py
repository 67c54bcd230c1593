"""What many players send at once, in a few statements: the saves and finishes of a batch.

A batch supposes that all is well: the window open, the attempts unfinished. The statements hold
these conditions themselves, on the database's clock, and the server says how many rows met
them. Where that is not every one, `BatchRejectedError` says so, and the caller writes each entry alone by the
rules that know every reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Executable, Table, bindparam, select, update

from poolproof.drivers.mysql.connection import insert_select_row_count
from webapp.attempts import scoring
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.json_rowset import encode_rows, number_column, rowset, text_column, uuid_column
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_statement
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]

MILLISECOND = timedelta(milliseconds=1)
MAX_NAME_LENGTH, MAX_TIMESTAMP_LENGTH = 40, 26


class BatchRejectedError(Exception):
    """Not every entry of a batch met the conditions."""


@dataclass(frozen=True)
class SaveAnswers:
    """A player's answers: item → chosen bits."""

    claim: AttemptClaim
    chosen: Mapping[int, int]


@dataclass(frozen=True)
class FinishAttempt:
    """A player's wish to be scored."""

    claim: AttemptClaim
    document: QuizDocument


def ensure_rows(connection: Connection, claims: Iterable[AttemptClaim], grace: int) -> None:
    """Give the attempts their rows, where the window is open and they have none; afterwards they are locked."""
    # In one order for all, so that two batches wait for each other and never deadlock.
    rows = [
        [
            claim.attempt_id.hex,
            claim.version_id,
            claim.player_id.hex,
            claim.player_name,
            claim.started_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        ]
        for claim in sorted(claims, key=lambda claim: claim.attempt_id)
    ]
    connection.execute(
        _insert_attempts(connection.dialect.name), {**encode_rows(rows), published.GRACE_PARAMETER: grace}
    )


def save(connection: Connection, saves: Sequence[SaveAnswers], grace: int) -> None:
    """Store the answers of attempts that have a row; one statement.

    Raises:
        BatchRejectedError: when one of them is finished or unknown, or its window is not open.
    """
    rows = [[one.claim.attempt_id.hex, item, bits] for one in saves for item, bits in one.chosen.items()]
    result = connection.execute(
        _upsert_answers(connection.dialect.name), {**encode_rows(rows), published.GRACE_PARAMETER: grace}
    )
    if insert_select_row_count(connection, result.rowcount) != len(rows):
        raise BatchRejectedError


def finish(connection: Connection, finishes: Sequence[FinishAttempt]) -> dict[UUID, AttemptState]:
    """Score attempts that have a row; the second time and ever after, return the first result.

    Raises:
        BatchRejectedError: when one of them has no row.
    """
    documents = {one.claim.attempt_id: one.document for one in finishes}
    ids = sorted(documents)
    connection.execute(_SET_FINISHED, {"ids": ids})
    stored = _load_attempts(connection, ids)
    if len(stored) != len(ids):
        raise BatchRejectedError
    scored = {attempt: _score(documents[attempt], one) for attempt, one in stored.items() if one.state.score is None}
    if scored:
        rows = [[attempt.hex, progress.score, progress.milliseconds] for attempt, progress in scored.items()]
        connection.execute(_set_scores(connection.dialect.name), encode_rows(rows))
    return {attempt: one.state for attempt, one in stored.items()} | scored


@dataclass(frozen=True)
class _StoredAttempt:
    started_at: datetime
    state: AttemptState


def _load_attempts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, _StoredAttempt]:
    found: dict[UUID, _StoredAttempt] = {}
    answers: dict[UUID, dict[int, int]] = {}
    for row in connection.execute(_SELECT_ATTEMPTS, {"ids": ids}):
        chosen = answers.setdefault(row.id, {})
        if row.item_id is not None:
            chosen[row.item_id] = row.chosen
        found[row.id] = _StoredAttempt(
            row.started_at, AttemptState(chosen, row.finished_at, row.score, row.milliseconds)
        )
    return found


def _score(document: QuizDocument, attempt: _StoredAttempt) -> AttemptState:
    answers, finished_at = attempt.state.answers, attempt.state.finished_at
    assert finished_at is not None  # noqa: S101 - the statement before has set it
    milliseconds = max(0, (finished_at - attempt.started_at) // MILLISECOND)
    return AttemptState(answers, finished_at, scoring.score(document, answers), milliseconds)


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_SET_FINISHED = update(Attempt).where(Attempt.id.in_(_IDS), Attempt.finished_at.is_(None)).values(finished_at=utc_now())
_SELECT_ATTEMPTS = (
    select(
        Attempt.id,
        Attempt.started_at,
        Attempt.finished_at,
        Attempt.score,
        Attempt.milliseconds,
        Answer.item_id,
        Answer.chosen,
    )
    .outerjoin(Answer, Answer.attempt_id == Attempt.id)
    .where(Attempt.id.in_(_IDS))
)
_ATTEMPT_COLUMNS = ["id", "quiz_version_id", "player_id", "player_name", "started_at"]


@cache
def _insert_attempts(dialect: str) -> Executable:
    columns = [
        uuid_column("attempt"),
        number_column("version"),
        uuid_column("player"),
        text_column("name", MAX_NAME_LENGTH),
        text_column("started", MAX_TIMESTAMP_LENGTH),
    ]
    given = rowset(dialect, "given", columns)
    rows = select(*given.c).where(published.accepts_answers(given.c.version))
    return upsert_statement(dialect, _attempt, _ATTEMPT_COLUMNS, rows, key=["id"])


@cache
def _upsert_answers(dialect: str) -> Executable:
    given = rowset(dialect, "given", [uuid_column("attempt"), number_column("item"), number_column("chosen")])
    rows = (
        select(_attempt.c.id, given.c.item, given.c.chosen, utc_now())
        .select_from(given.join(_attempt, _attempt.c.id == given.c.attempt))
        .where(_attempt.c.finished_at.is_(None), published.accepts_answers(_attempt.c.quiz_version_id))
        # Locked for sharing: an attempt that is being finished has either its answer scored, or refused.
        .with_for_update(read=True, of=_attempt)
        # In this order: the few given rows look their attempts up, whatever the optimiser thinks of a new table.
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    )
    columns = ["attempt_id", "item_id", "chosen", "answered_at"]
    return upsert_statement(
        dialect, _answer, columns, rows, key=["attempt_id", "item_id"], replace=["chosen", "answered_at"]
    )


@cache
def _set_scores(dialect: str) -> Executable:
    given = rowset(dialect, "given", [uuid_column("attempt"), number_column("score"), number_column("milliseconds")])
    # As an insert that always meets its row: an UPDATE with a join is written differently everywhere.
    kept = [_attempt.c[name] for name in _ATTEMPT_COLUMNS]
    rows = (
        select(*kept, given.c.score, given.c.milliseconds)
        .select_from(given.join(_attempt, _attempt.c.id == given.c.attempt))
        .where(_attempt.c.score.is_(None))
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    )
    columns = [*_ATTEMPT_COLUMNS, "score", "milliseconds"]
    return upsert_statement(dialect, _attempt, columns, rows, key=["id"], replace=["score", "milliseconds"])
