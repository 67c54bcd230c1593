"""The attempts at a version with their answers, in pages: the best first for a reader, by player for an export."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from webapp.attempts.counting import is_counted
from webapp.attempts.models import Answer, Attempt
from webapp.errors import InvalidInputError
from webapp.quizzes.rules import CountedAttempt


@dataclass(frozen=True)
class PlayerRow:
    """An attempt; the score is None while it is played, and after its time until somebody asks for results."""

    attempt_id: UUID
    player_id: UUID
    player_name: str
    started_at: datetime
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None
    number: int = 1
    """Which of the player's attempts it is."""
    counts: bool = True
    """Whether it has a score and is the one of its player's attempts that is in results and leaderboard."""
    answers: dict[int, int] = field(default_factory=dict)
    """Item → chosen bits."""


@dataclass(frozen=True)
class BestFirst:
    """The place of an attempt in the order of the leaderboard; attempts without a score come last, by id."""

    score: int | None
    milliseconds: int
    attempt_id: UUID

    def to_cursor(self) -> str:
        """Return the opaque cursor of what comes after this place."""
        text = f"{'' if self.score is None else self.score}.{self.milliseconds}.{self.attempt_id.hex}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True)
class PlayerPage:
    """Some attempts and, when there are more, the cursor of the page after this one."""

    rows: Sequence[PlayerRow]
    cursor: str | None


def parse_cursor(cursor: str | None) -> BestFirst | None:
    """Return the place in a cursor.

    Raises:
        InvalidInputError: for anything that `to_cursor` did not make.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        score, milliseconds, attempt_id = text.split(".")
        place = BestFirst(int(score) if score else None, int(milliseconds), UUID(attempt_id))
    except (ValueError, binascii.Error):
        place = None
    if place is None or place.to_cursor() != cursor or max(place.score or 0, place.milliseconds) >= 2**63:
        raise InvalidInputError("cursor is not valid; leave it out to begin at the start.")
    return place


def list_best(
    connection: Connection,
    version_id: int,
    after: BestFirst | None,
    limit: int,
    counting: CountedAttempt = CountedAttempt.EARLIEST,
) -> PlayerPage:
    """Return attempts in the order of the leaderboard; its index is read from the place after which to begin."""
    query = _select(version_id, counting)
    if after is not None:
        query = query.where(_comes_after(after))
    ordered = query.order_by(Attempt.score.desc(), Attempt.milliseconds, Attempt.id).limit(limit + 1)
    rows = [PlayerRow(*row) for row in connection.execute(ordered)]
    last = rows[limit - 1] if len(rows) > limit else None
    rows = rows[:limit]
    _add_answers(connection, rows)
    cursor = BestFirst(last.score, last.milliseconds or 0, last.attempt_id).to_cursor() if last else None
    return PlayerPage(rows, cursor)


def list_by_player(
    connection: Connection,
    version_id: int,
    after: UUID | None,
    limit: int,
    counting: CountedAttempt = CountedAttempt.EARLIEST,
) -> Sequence[PlayerRow]:
    """Return attempts by the player's id, which never changes while a file is made; an empty list at the end.

    The attempts of one player are never divided between two pages: `after` is the last player of the page before.
    """
    query = _select(version_id, counting)
    if after is not None:
        query = query.where(Attempt.player_id > after)
    rows = [PlayerRow(*row) for row in connection.execute(query.order_by(Attempt.player_id).limit(limit + 1))]
    if len(rows) > limit:
        # What may be cut off of the last player's attempts comes with the next page.
        cut = rows[limit].player_id
        rows = [row for row in rows if row.player_id != cut] or rows
    _add_answers(connection, rows)
    return rows


def _select(version_id: int, counting: CountedAttempt) -> Select[*tuple[Any, ...]]:
    return select(
        Attempt.id,
        Attempt.player_id,
        Attempt.player_name,
        Attempt.started_at,
        Attempt.finished_at,
        Attempt.score,
        Attempt.milliseconds,
        Attempt.number,
        and_(Attempt.score.is_not(None), is_counted(counting)).label("counts"),
    ).where(Attempt.quiz_version_id == version_id, Attempt.erased_at.is_(None))


def _comes_after(place: BestFirst) -> ColumnElement[bool]:
    if place.score is None:
        return and_(Attempt.score.is_(None), Attempt.id > place.attempt_id)
    slower = or_(
        Attempt.milliseconds > place.milliseconds,
        and_(Attempt.milliseconds == place.milliseconds, Attempt.id > place.attempt_id),
    )
    return or_(Attempt.score < place.score, and_(Attempt.score == place.score, slower), Attempt.score.is_(None))


def _add_answers(connection: Connection, rows: Sequence[PlayerRow]) -> None:
    by_id = {row.attempt_id: row.answers for row in rows}
    if not by_id:
        return
    query = select(Answer.attempt_id, Answer.item_id, Answer.chosen).where(Answer.attempt_id.in_(list(by_id)))
    for attempt_id, item_id, chosen in connection.execute(query):
        by_id[attempt_id][item_id] = chosen
