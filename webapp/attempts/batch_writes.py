"""The saves and finishes of many players in a few statements.

A batch assumes that every entry is acceptable: its window open, its attempt unfinished. The statements contain these
conditions, on the database's clock, and the server returns how many rows met them. Where one did not,
`BatchRejectedError` is raised, and the caller writes each entry alone with `answer_store`, which knows every reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Executable, Table, bindparam, select, update

from poolproof.drivers.mysql.connection import insert_select_row_count
from webapp.attempts.answer_store import AttemptState, with_score
from webapp.attempts.json_rowset import encode_rows, number_column, rowset, text_column, uuid_column
from webapp.attempts.models import MAX_NAME_LENGTH, Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_statement
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]

TIMESTAMP_LENGTH = 26


class BatchRejectedError(Exception):
    """Not every entry of a batch met the conditions."""


@dataclass(frozen=True)
class SaveAnswers:
    """A player's answers: item → chosen bits."""

    claim: AttemptClaim
    chosen: Mapping[int, int]


@dataclass(frozen=True)
class FinishAttempt:
    """A player's finish: the attempt is to be scored."""

    claim: AttemptClaim
    document: QuizDocument


def ensure_rows(connection: Connection, claims: Iterable[AttemptClaim], grace: int) -> None:
    """Insert rows of attempts whose window is open and which have none; afterwards all rows are locked."""
    # All batches lock in the same order, so that two wait for each other and never deadlock.
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
    rows = [[entry.claim.attempt_id.hex, item, bits] for entry in saves for item, bits in entry.chosen.items()]
    result = connection.execute(
        _upsert_answers(connection.dialect.name), {**encode_rows(rows), published.GRACE_PARAMETER: grace}
    )
    if insert_select_row_count(connection, result.rowcount) != len(rows):
        raise BatchRejectedError


def finish(connection: Connection, finishes: Sequence[FinishAttempt]) -> dict[UUID, AttemptState]:
    """Score attempts that have a row; for one that is scored already, return its first result.

    Raises:
        BatchRejectedError: when one of them has no row.
    """
    documents = {entry.claim.attempt_id: entry.document for entry in finishes}
    ids = sorted(documents)
    connection.execute(_SET_FINISHED, {"ids": ids})
    stored = _load_attempts(connection, ids)
    if len(stored) != len(ids):
        raise BatchRejectedError
    scored = {
        attempt_id: _score(documents[attempt_id], attempt)
        for attempt_id, attempt in stored.items()
        if attempt.state.score is None
    }
    if scored:
        rows = [[attempt_id.hex, state.score, state.milliseconds] for attempt_id, state in scored.items()]
        connection.execute(_set_scores(connection.dialect.name), encode_rows(rows))
    return {attempt_id: attempt.state for attempt_id, attempt in stored.items()} | scored


@dataclass(frozen=True)
class _StoredAttempt:
    started_at: datetime
    state: AttemptState


def _load_attempts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, _StoredAttempt]:
    attempts: dict[UUID, _StoredAttempt] = {}
    answers: dict[UUID, dict[int, int]] = {}
    for row in connection.execute(_SELECT_ATTEMPTS, {"ids": ids}):
        chosen = answers.setdefault(row.id, {})
        if row.item_id is not None:
            chosen[row.item_id] = row.chosen
        state = AttemptState(chosen, row.finished_at, row.score, row.milliseconds)
        attempts[row.id] = _StoredAttempt(row.started_at, state)
    return attempts


def _score(document: QuizDocument, attempt: _StoredAttempt) -> AttemptState:
    finished_at = attempt.state.finished_at
    assert finished_at is not None  # noqa: S101 - the statement before has set it
    return with_score(attempt.state, document, attempt.started_at, finished_at)


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
        text_column("started", TIMESTAMP_LENGTH),
    ]
    sent = rowset(dialect, "sent", columns)
    rows = select(*sent.c).where(published.accepts_answers(sent.c.version))
    return upsert_statement(dialect, _attempt, _ATTEMPT_COLUMNS, rows, key=["id"])


@cache
def _upsert_answers(dialect: str) -> Executable:
    sent = rowset(dialect, "sent", [uuid_column("attempt"), number_column("item"), number_column("chosen")])
    rows = (
        select(_attempt.c.id, sent.c.item, sent.c.chosen, utc_now())
        .select_from(sent.join(_attempt, _attempt.c.id == sent.c.attempt))
        .where(_attempt.c.finished_at.is_(None), published.accepts_answers(_attempt.c.quiz_version_id))
        # A shared lock: while an attempt is being finished, its answer waits, and is then either scored or refused.
        .with_for_update(read=True, of=_attempt)
        # In this order: the few sent rows look up their attempts, whatever the optimizer assumes about a new table.
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    )
    columns = ["attempt_id", "item_id", "chosen", "answered_at"]
    return upsert_statement(
        dialect, _answer, columns, rows, key=["attempt_id", "item_id"], replace=["chosen", "answered_at"]
    )


@cache
def _set_scores(dialect: str) -> Executable:
    computed = rowset(
        dialect, "computed", [uuid_column("attempt"), number_column("score"), number_column("milliseconds")]
    )
    # An upsert whose rows all exist: the syntax of an UPDATE with a join differs between the databases.
    unchanged = [_attempt.c[name] for name in _ATTEMPT_COLUMNS]
    rows = (
        select(*unchanged, computed.c.score, computed.c.milliseconds)
        .select_from(computed.join(_attempt, _attempt.c.id == computed.c.attempt))
        .where(_attempt.c.score.is_(None))
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    )
    columns = [*_ATTEMPT_COLUMNS, "score", "milliseconds"]
    return upsert_statement(dialect, _attempt, columns, rows, key=["id"], replace=["score", "milliseconds"])
