"""Which attempts of a batch another session holds locked: asked without waiting for any of them.

Attempts that are stored and locked are left out of a batch by its own statements. What these do wait for is an answer
that is locked, and an attempt that another session has inserted and not committed yet. The latter cannot be seen by a
locking read, which skips it; an uncommitted read sees it. So what an uncommitted read finds and a locking read skips,
is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, or_, select, text

from webapp.attempts.batch_writes import SaveAnswers
from webapp.attempts.entry_batch import Entry
from webapp.attempts.json_rowset import encode_rows, number_column, rows_first, rowset, uuid_column
from webapp.attempts.models import Answer, Attempt

_attempt: Table = Attempt.__table__  # type: ignore[assignment]
_answer: Table = Answer.__table__  # type: ignore[assignment]
# For the next statement alone, on a connection whose every statement is a transaction of its own.
_READ_UNCOMMITTED = text("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")


def find_locked_attempts(connection: Connection, entries: Sequence[Entry]) -> set[UUID]:
    """Return the attempts of these entries that have a locked row; each statement of `connection` stands for itself."""
    claims = {entry.claim.attempt_id: entry.claim for entry in entries}
    attempts = encode_rows([claim.attempt_id.hex, claim.version_id, claim.player_id.hex] for claim in claims.values())
    answers = encode_rows(
        [entry.claim.attempt_id.hex, item]
        for entry in entries
        if isinstance(entry, SaveAnswers)
        for item in entry.chosen
    )
    dialect = connection.dialect.name
    return {
        UUID(bytes=bytes(row.attempt))
        for query, parameters in ((_select_attempts(dialect), attempts), (_select_answers(dialect), answers))
        for row in _find_locked(connection, query, parameters)
    }


def _find_locked(connection: Connection, query: Select[Any], parameters: dict[str, str]) -> set[Any]:
    connection.execute(_READ_UNCOMMITTED)
    present = set(connection.execute(query, parameters))
    free = set(connection.execute(query.with_for_update(skip_locked=True), parameters))
    return present - free


@cache
def _select_attempts(dialect: str) -> Select[Any]:
    """Select the attempts of a batch, and those that their players have begun in another one."""
    sent = rowset(dialect, "sent", [uuid_column("attempt"), number_column("version"), uuid_column("player")])
    of_player = (_attempt.c.quiz_version_id == sent.c.version) & (_attempt.c.player_id == sent.c.player)
    found = sent.join(_attempt, or_(_attempt.c.id == sent.c.attempt, of_player))
    return rows_first(select(sent.c.attempt, _attempt.c.id)).select_from(found)


@cache
def _select_answers(dialect: str) -> Select[Any]:
    sent = rowset(dialect, "sent", [uuid_column("attempt"), number_column("item")])
    found = sent.join(_answer, (_answer.c.attempt_id == sent.c.attempt) & (_answer.c.item_id == sent.c.item))
    return rows_first(select(sent.c.attempt, _answer.c.item_id)).select_from(found)
