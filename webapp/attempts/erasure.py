"""What is stored of an attempt, for its player to take along, and its erasure.

The group commit makes the row of an attempt with its first answer, and an answer may be on its way while its attempt is
erased. So the row is not deleted: it stays, finished and without everything that was stored in it, and where there is
none yet it is inserted. Either the batch of an answer has the row first, and what it has stored is erased after it, or
the erasure has it first, and the batch finds an attempt that takes no answers. There is no order in which an answer is
acknowledged and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, literal, select, update

from webapp.attempts.models import Answer, Attempt
from webapp.attempts.refusals import erased_error
from webapp.attempts.tokens import AttemptClaim
from webapp.db.timestamps import utc_now
from webapp.db.types import UuidBytes
from webapp.db.upsert import upsert_from

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
NOBODY = ""
"""The name in the row of an attempt that was erased."""


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it is stored."""

    item_id: int
    chosen: int
    sequence: int | None
    answered_at: datetime


@dataclass(frozen=True)
class StoredData:
    """All that is stored of an attempt; None where its row has no value, or there is no row."""

    started_at: datetime | None
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None
    answers: Sequence[StoredAnswer]


def load_data(connection: Connection, attempt_id: UUID) -> StoredData:
    """Return all that is stored of an attempt.

    Raises:
        AttemptErasedError: when its player has erased it.
    """
    columns = (Attempt.started_at, Attempt.finished_at, Attempt.score, Attempt.milliseconds, Attempt.erased_at)
    row = connection.execute(select(*columns).where(Attempt.id == attempt_id)).one_or_none()
    if row is None:
        return StoredData(None, None, None, None, ())
    if row.erased_at is not None:
        raise erased_error()
    answers = select(Answer.item_id, Answer.chosen, Answer.sequence, Answer.answered_at)
    rows = connection.execute(answers.where(Answer.attempt_id == attempt_id).order_by(Answer.item_id))
    return StoredData(*row[:4], tuple(StoredAnswer(*answer) for answer in rows))


def erase(connection: Connection, claim: AttemptClaim) -> None:
    """Erase all that is stored of an attempt. Erasing it again changes nothing.

    The row is inserted or locked first, as the batches of answers do, and its answers are deleted after that.
    """
    values = {"id": claim.attempt_id, "version": claim.version_id}
    upsert_from(connection, _attempt, _COLUMNS, _ROW, key=["id"], parameters=values)
    connection.execute(delete(Answer).where(Answer.attempt_id == claim.attempt_id))
    connection.execute(_EMPTY, {"attempt": claim.attempt_id})


_attempt_id: Any = bindparam("id", type_=UuidBytes())
_COLUMNS = ["id", "quiz_version_id", "player_id", "player_name", "started_at", "finished_at", "erased_at"]
_ROW = select(
    # Nothing in the row leads to the player, whose id is replaced by that of the attempt.
    _attempt_id.label("id"),
    bindparam("version", type_=_attempt.c.quiz_version_id.type).label("quiz_version_id"),
    _attempt_id.label("player_id"),
    literal(NOBODY).label("player_name"),
    utc_now().label("started_at"),
    utc_now().label("finished_at"),
    utc_now().label("erased_at"),
    # SQLite's grammar wants a condition here.
).where(literal(1) == literal(1))
_EMPTY = (
    update(_attempt)
    .where(_attempt.c.id == bindparam("attempt", type_=UuidBytes()), _attempt.c.erased_at.is_(None))
    .values(
        player_id=_attempt.c.id,
        player_name=NOBODY,
        started_at=utc_now(),
        # The leaderboards look for what was finished since they looked last, and find that this one is gone.
        finished_at=utc_now(),
        erased_at=utc_now(),
        score=None,
        milliseconds=None,
        scored_at=None,
        saved_batches=0,
    )
)
