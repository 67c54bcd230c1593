"""Why entries of a batch were not written: read afterwards, for the whole batch at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, exists, func, select

from poolproof.transactions.group_commit import EntryBlockedError
from webapp.attempts.json_rowset import (
    datetime_column,
    encode_datetime,
    encode_rows,
    number_column,
    rows_first,
    rowset,
    uuid_column,
)
from webapp.attempts.models import Attempt
from webapp.attempts.time_limits import time_over_error
from webapp.attempts.tokens import AttemptClaim
from webapp.db.types import UtcDateTime
from webapp.errors import AttemptErasedError, AttemptExistsError, AttemptFinishedError, NotFoundError
from webapp.quizzes import published
from webapp.quizzes.published import QuizState, VersionSummary

_attempt: Table = Attempt.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class _AttemptStatus:
    """What the database says about an attempt; `version` only where it takes no answers."""

    has_row: bool
    is_finished: bool
    is_erased: bool
    has_other_attempt: bool
    is_open: bool
    is_time_over: bool
    """Whether its own time is over, whatever the window is."""
    version: VersionSummary | None


class Refusals:
    """The reasons why entries of these attempts were not written."""

    def __init__(self, attempts: Mapping[UUID, _AttemptStatus]) -> None:
        """Take what was read."""
        self._by_id = attempts

    def finished(self) -> set[UUID]:
        """Return those of the attempts that are finished, and not erased: who sends an answer to one is told which."""
        return {
            attempt_id for attempt_id, attempt in self._by_id.items() if attempt.is_finished and not attempt.is_erased
        }

    def without_row(self) -> set[UUID]:
        """Return those of the attempts that are not stored."""
        return {attempt_id for attempt_id, attempt in self._by_id.items() if not attempt.has_row}

    def of_save(self, attempt_id: UUID) -> Exception:
        """Return why an answer was not saved; a blocked one may be saved by a later batch."""
        attempt = self._by_id[attempt_id]
        if attempt.is_erased:
            return erased_error()
        if attempt.is_finished:
            return finished_error()
        return _of_window(attempt) or _of_row(attempt)

    def of_finish(self, attempt_id: UUID) -> Exception:
        """Return why an attempt was not finished; one that has a row was locked, and is finished by a later batch."""
        attempt = self._by_id[attempt_id]
        if attempt.is_erased:
            return erased_error()
        return _of_row(attempt) if attempt.has_row else _of_window(attempt) or _of_row(attempt)


def finished_error() -> AttemptFinishedError:
    """Return the error of an answer to an attempt that has been scored."""
    return AttemptFinishedError("The attempt is finished; its answers can no longer change.")


def erased_error() -> AttemptErasedError:
    """Return the error of whatever is asked of an attempt that its player has erased."""
    return AttemptErasedError("You have erased this attempt; nothing of it is stored, and it takes no more answers.")


def blocked_error() -> EntryBlockedError:
    """Return the error of an entry that is written by a later batch."""
    return EntryBlockedError("The attempt is locked by another session.")


def _of_window(attempt: _AttemptStatus) -> Exception | None:
    version = attempt.version
    if attempt.is_open:
        return None
    if version is None:
        return NotFoundError("There is no such quiz, or it has not been published.")
    if version.state is QuizState.CLOSED:
        return published.too_late_error(version.closes_at)
    if attempt.is_time_over:
        return time_over_error()
    return published.not_open_error(version)


def _of_row(attempt: _AttemptStatus) -> Exception:
    if attempt.has_other_attempt and not attempt.has_row:
        return AttemptExistsError("You have begun this quiz in another attempt; continue there.")
    return blocked_error()


def find_refusals(connection: Connection, claims: Iterable[AttemptClaim], grace: int) -> Refusals:
    """Read why entries of these attempts were not written."""
    by_id = {claim.attempt_id: claim for claim in claims}
    rows = [
        [
            claim.attempt_id.hex,
            claim.version_id,
            claim.player_id.hex,
            claim.number,
            encode_datetime(claim.started_at),
        ]
        for claim in by_id.values()
    ]
    parameters = {**encode_rows(rows), published.GRACE_PARAMETER: grace}
    found = connection.execute(_select_attempts(connection.dialect.name), parameters).all()
    closed = {row.version for row in found if not row.is_open}
    versions = published.list_by_ids(connection, sorted(closed)) if closed else {}
    return Refusals(
        {
            UUID(bytes=bytes(row.attempt)): _AttemptStatus(
                has_row=row.id is not None,
                is_finished=row.finished_at is not None,
                is_erased=row.erased_at is not None,
                has_other_attempt=bool(row.has_other),
                is_open=bool(row.is_open),
                is_time_over=bool(row.is_time_over),
                version=versions.get(row.version),
            )
            for row in found
        }
    )


@cache
def _select_attempts(dialect: str) -> Select[Any]:
    columns = [
        uuid_column("attempt"),
        number_column("version"),
        uuid_column("player"),
        number_column("number"),
        datetime_column("started"),
    ]
    sent, other = rowset(dialect, "sent", columns), _attempt.alias("other")
    of_version = (other.c.quiz_version_id == sent.c.version) & (other.c.player_id == sent.c.player)
    of_player = of_version & (other.c.number == sent.c.number)
    started_at = func.coalesce(_attempt.c.started_at, sent.c.started, type_=UtcDateTime())
    return rows_first(
        select(
            sent.c.attempt,
            sent.c.version,
            _attempt.c.id,
            _attempt.c.finished_at,
            _attempt.c.erased_at,
            exists(select(other.c.id).where(of_player, other.c.id != sent.c.attempt)).label("has_other"),
            published.accepts_answers(sent.c.version, started_at).label("is_open"),
            published.time_is_over(sent.c.version, started_at).label("is_time_over"),
        )
    ).select_from(sent.outerjoin(_attempt, _attempt.c.id == sent.c.attempt))
