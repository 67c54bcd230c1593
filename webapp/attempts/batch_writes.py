"""The saves and finishes of many players in a few statements, whose text is the same for every batch.

The statements contain the conditions (window open on the database's clock, attempt unfinished), write the entries that
meet them, and leave the others out; so does one whose attempt another session has locked, instead of waiting for it.
`find_unsaved` reads which entries were left out, and `refusals` says why.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Executable, Table, bindparam, exists, select, update

from webapp.attempts.answer_store import AttemptState, with_score
from webapp.attempts.json_rowset import (
    datetime_column,
    encode_datetime,
    encode_rows,
    number_column,
    rows_first,
    rowset,
    text_column,
    uuid_column,
)
from webapp.attempts.models import MAX_NAME_LENGTH, Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_statement
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument

_attempt: Table = Attempt.__table__  # type: ignore[assignment]


def _monotonic() -> float:
    # Looked up at each call: tests set the clock.
    return time.monotonic()


@dataclass(frozen=True)
class SaveAnswers:
    """A player's answers: item → chosen bits."""

    claim: AttemptClaim
    chosen: Mapping[int, int]
    sequence: int | None = None
    """The client's own number of these choices, if it has given one."""
    arrived_at: float = field(default_factory=_monotonic)
    """When this worker got them, on the monotonic clock."""


@dataclass(frozen=True)
class FinishAttempt:
    """A player's finish: the attempt is to be scored."""

    claim: AttemptClaim
    document: QuizDocument


def ensure_rows(connection: Connection, claims: Iterable[AttemptClaim], grace: int) -> None:
    """Insert rows of attempts that take answers and have none, and whose player has no other one of this number."""
    # All batches lock in the same order, so that two wait for each other and never deadlock.
    rows = [
        [
            claim.attempt_id.hex,
            claim.version_id,
            claim.player_id.hex,
            claim.number,
            claim.player_name,
            encode_datetime(claim.started_at),
        ]
        for claim in sorted(claims, key=lambda claim: claim.attempt_id)
    ]
    connection.execute(
        _insert_attempts(connection.dialect.name), {**encode_rows(rows), published.GRACE_PARAMETER: grace}
    )


def lock_attempts(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Lock the rows of attempts that nobody else has locked until the transaction ends; return which."""
    return set(connection.execute(_LOCK_ATTEMPTS, {"ids": sorted(ids)}).scalars())


def count_batch(connection: Connection, ids: Iterable[UUID]) -> None:
    """Change the rows of unfinished attempts, so that a node that finishes one of them notices the conflict."""
    connection.execute(_COUNT_BATCH, {"ids": sorted(ids)})


def finish(connection: Connection, finishes: Sequence[FinishAttempt]) -> dict[UUID, AttemptState]:
    """Score attempts whose rows are locked; for one that is scored already, return its first result."""
    documents = {entry.claim.attempt_id: entry.document for entry in finishes}
    ids = sorted(documents)
    connection.execute(_SET_FINISHED, {"ids": ids})
    stored = _load_attempts(connection, ids)
    scored = {
        attempt_id: with_score(attempt.state, documents[attempt_id], attempt.started_at)
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
    answered: dict[UUID, datetime] = {}
    for row in connection.execute(_SELECT_ATTEMPTS, {"ids": ids}):
        chosen = answers.setdefault(row.id, {})
        if row.item_id is not None:
            chosen[row.item_id] = row.chosen
            answered[row.id] = max(row.answered_at, answered.get(row.id, row.answered_at))
        state = AttemptState(chosen, row.finished_at, row.score, row.milliseconds, answered.get(row.id))
        attempts[row.id] = _StoredAttempt(row.started_at, state)
    return attempts


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_LOCK_ATTEMPTS = select(Attempt.id).where(Attempt.id.in_(_IDS)).with_for_update(skip_locked=True)
_COUNT_BATCH = (
    update(Attempt)
    .where(Attempt.id.in_(_IDS), Attempt.finished_at.is_(None))
    .values(saved_batches=Attempt.saved_batches + 1)
)
_SET_FINISHED = (
    update(Attempt)
    .where(Attempt.id.in_(_IDS), Attempt.finished_at.is_(None))
    # A score that it has is from when its quiz had closed, before the window was lengthened.
    .values(finished_at=utc_now(), score=None, milliseconds=None)
)
_SELECT_ATTEMPTS = (
    select(
        Attempt.id,
        Attempt.started_at,
        Attempt.finished_at,
        Attempt.score,
        Attempt.milliseconds,
        Answer.item_id,
        Answer.chosen,
        Answer.answered_at,
    )
    .outerjoin(Answer, Answer.attempt_id == Attempt.id)
    # One that its player has erased has no result.
    .where(Attempt.id.in_(_IDS), Attempt.erased_at.is_(None))
)
_ATTEMPT_COLUMNS = ["id", "quiz_version_id", "player_id", "number", "player_name", "started_at"]


@cache
def _insert_attempts(dialect: str) -> Executable:
    columns = [
        uuid_column("attempt"),
        number_column("version"),
        uuid_column("player"),
        number_column("number"),
        text_column("name", MAX_NAME_LENGTH),
        datetime_column("started"),
    ]
    sent, existing = rowset(dialect, "sent", columns), _attempt.alias("existing")
    of_version = (existing.c.quiz_version_id == sent.c.version) & (existing.c.player_id == sent.c.player)
    of_player = of_version & (existing.c.number == sent.c.number)
    # These reads take no locks; an insert of a row that exists would wait for whoever has locked it.
    rows = rows_first(select(*sent.c)).where(
        published.accepts_answers(sent.c.version, sent.c.started),
        ~exists(select(existing.c.id).where(existing.c.id == sent.c.attempt)),
        ~exists(select(existing.c.id).where(of_player)),
    )
    return upsert_statement(dialect, _attempt, _ATTEMPT_COLUMNS, rows, key=["id"])


@cache
def _set_scores(dialect: str) -> Executable:
    computed = rowset(
        dialect, "computed", [uuid_column("attempt"), number_column("score"), number_column("milliseconds")]
    )
    # An upsert whose rows all exist: the syntax of an UPDATE with a join differs between the databases.
    unchanged = [_attempt.c[name] for name in _ATTEMPT_COLUMNS]
    rows = (
        rows_first(select(*unchanged, computed.c.score, computed.c.milliseconds))
        .select_from(computed.join(_attempt, _attempt.c.id == computed.c.attempt))
        .where(_attempt.c.score.is_(None))
    )
    columns = [*_ATTEMPT_COLUMNS, "score", "milliseconds"]
    return upsert_statement(dialect, _attempt, columns, rows, key=["id"], replace=["score", "milliseconds"])
