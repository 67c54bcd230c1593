"""The answers of a batch: stored where their attempt takes answers and they are the newest, and checked afterwards.

An answer is newer than a stored one when the client's number is greater, where both have one, and otherwise when a
worker got it later, by the database's clock. An older one changes nothing, and its sender is told the same as the
sender of an answer that was replaced since.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Executable, Table, and_, case, func, or_, select

from webapp.attempts.batch_writes import SaveAnswers
from webapp.attempts.json_rowset import (
    datetime_column,
    encode_datetime,
    encode_rows,
    lookup_by_key,
    number_column,
    rows_first,
    rowset,
    uuid_column,
)
from webapp.attempts.models import Answer, Attempt
from webapp.db.server_clock import ServerClock
from webapp.db.timestamps import utc_now
from webapp.db.upsert import upsert_statement
from webapp.quizzes import published

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]

AnswerKey = tuple[UUID, int]
"""The attempt and the item of an answer."""


class AnswerBatch:
    """The answers of many players as one parameter of a few statements."""

    def __init__(self, saves: Sequence[SaveAnswers], clock: ServerClock) -> None:
        """Encode the answers of these entries; `clock` says when they arrived."""
        self._clock = clock
        rows = [
            [entry.claim.attempt_id.hex, item, bits, entry.sequence, encode_datetime(clock.at(entry.arrived_at))]
            for entry in saves
            for item, bits in entry.chosen.items()
        ]
        # All batches lock in the same order; of the answers to one item the later one stays the later one.
        rows.sort(key=lambda row: row[:2])
        self._count = len(rows)
        self._are_all_replaced = False
        self._parameters: dict[str, Any] = encode_rows(rows)

    def save(self, connection: Connection, grace: int) -> None:
        """Store the answers whose attempt takes answers, for `grace` seconds after its window, too: one statement."""
        parameters = {**self._parameters, published.GRACE_PARAMETER: grace}
        dialect = connection.dialect.name
        affected = connection.execute(_upsert_answers(dialect), parameters).rowcount
        # MySQL and MariaDB count an inserted row once, and one that is replaced twice. A smaller number says nothing.
        self._are_all_replaced = dialect != "sqlite" and affected == 2 * self._count

    def find_unsaved(self, connection: Connection) -> set[AnswerKey]:
        """Return the answers that are neither stored nor replaced by a newer one."""
        dialect, sent_at = connection.dialect.name, time.monotonic()
        if self._are_all_replaced and self._clock.is_recent(sent_at):
            return set()
        count, now = connection.execute(_count_saved(dialect), self._parameters).one()
        self._clock.record(now, sent_at, time.monotonic())
        if count == self._count:
            return set()
        rows = connection.execute(_select_unsaved(dialect), self._parameters)
        return {(UUID(bytes=bytes(row.attempt)), row.item) for row in rows}


def _is_newer(new: Any, stored: Any) -> ColumnElement[bool]:
    """Say whether a row replaces a stored one; equal ones do, since one of them was sent again."""
    by_time = new.answered_at >= stored.answered_at
    by_number = new.sequence >= stored.sequence
    has_numbers = and_(new.sequence.is_not(None), stored.sequence.is_not(None))
    # A stored time that has not come yet was written before the server's clock was set back.
    return or_(case((has_numbers, by_number), else_=by_time), stored.answered_at > utc_now())


def _is_saved(sent: Any) -> ColumnElement[bool]:
    """Say whether a stored row is the sent one or a newer one."""
    has_numbers = and_(sent.sequence.is_not(None), _answer.c.sequence.is_not(None))
    is_not_older = case(
        (has_numbers, _answer.c.sequence >= sent.sequence), else_=_answer.c.answered_at >= sent.answered_at
    )
    return and_(_answer.c.attempt_id == sent.attempt, _answer.c.item_id == sent.item, is_not_older)


def _sent(dialect: str) -> Any:
    columns = [
        uuid_column("attempt"),
        number_column("item"),
        number_column("chosen"),
        number_column("sequence"),
        datetime_column("answered_at"),
    ]
    return rowset(dialect, "sent", columns)


@cache
def _upsert_answers(dialect: str) -> Executable:
    sent = _sent(dialect)
    columns = (_attempt.c.id, sent.c.item, sent.c.chosen, sent.c.sequence, sent.c.answered_at)
    rows = (
        lookup_by_key(rows_first(select(*columns)), _attempt)
        .select_from(sent.join(_attempt, _attempt.c.id == sent.c.attempt))
        .where(
            _attempt.c.finished_at.is_(None),
            published.accepts_answers(_attempt.c.quiz_version_id, _attempt.c.started_at),
        )
        # A shared lock, so that an answer is either scored by a finish or refused. An attempt that is being finished,
        # or is locked by anybody else, is left out: its answer waits for a later batch, and this one for nobody.
        .with_for_update(read=True, of=_attempt, skip_locked=True)
    )
    return upsert_statement(
        dialect,
        _answer,
        ["attempt_id", "item_id", "chosen", "sequence", "answered_at"],
        rows,
        key=["attempt_id", "item_id"],
        # In this order: see `upsert_statement`. What has replaced `sequence` is newer by its number, being equal now.
        replace=["chosen", "sequence", "answered_at"],
        replace_if=_is_newer,
    )


@cache
def _count_saved(dialect: str) -> Executable:
    sent = _sent(dialect)
    return rows_first(select(func.count(), utc_now())).select_from(sent.join(_answer, _is_saved(sent.c)))


@cache
def _select_unsaved(dialect: str) -> Executable:
    sent = _sent(dialect)
    joined = sent.outerjoin(_answer, _is_saved(sent.c))
    return rows_first(select(sent.c.attempt, sent.c.item)).select_from(joined).where(_answer.c.attempt_id.is_(None))
