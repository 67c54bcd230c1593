"""The tables of attempts and answers. No foreign key leaves them: attempts may live on another server."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, UtcDateTime, UuidBytes
from webapp.extensions import Base

MAX_NAME_LENGTH = 40
"""Characters of the name that a player is shown by."""


class Attempt(Base):
    """An attempt, stored with its first answer or its finish; `score` is set by the finish, or after its time."""

    __tablename__ = "attempt"
    __table_args__ = (
        # The attempts of a player are numbered; a rule of the quiz says how many there may be.
        Index("ix_attempt_player", "quiz_version_id", "player_id", "number", unique=True),
        # The leaderboard reads its index from the start: best score first, then the fastest.
        Index("ix_attempt_finish", "quiz_version_id", "finished_at"),
        Index("ix_attempt_leaderboard", "quiz_version_id", text("score DESC"), "milliseconds", "id"),
        MYSQL_TABLE_OPTIONS,
    )

    id: Mapped[uuid.UUID] = mapped_column(UuidBytes, primary_key=True)
    quiz_version_id: Mapped[int] = mapped_column(BigInteger)
    player_id: Mapped[uuid.UUID] = mapped_column(UuidBytes)
    number: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    """Which of the player's attempts at the version this is, counted from 1."""
    player_name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    score: Mapped[int | None]
    milliseconds: Mapped[int | None] = mapped_column(BigInteger)
    """From the start to the last stored answer by the database's clock; the faster of two equal scores leads."""
    scored_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was scored because its quiz had closed, though nobody had finished it. It goes on if the quiz does."""
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its player erased it. The row stays, without name, player, score and answers: it refuses later answers."""
    saved_batches: Mapped[int] = mapped_column(server_default=text("0"))
    """Counts batches that saved answers, where row locks are local to a node: there only a changed row is noticed."""


class DeletedAttempts(Base):
    """What is kept of a version's attempts that were deleted after their period: sums, which tell of nobody."""

    __tablename__ = "deleted_attempts"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    quiz_version_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    begun: Mapped[int] = mapped_column(BigInteger)
    finished: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[int] = mapped_column(BigInteger)
    """The sum of their scores."""
    milliseconds: Mapped[int] = mapped_column(BigInteger)
    """The sum of their times."""


class PeriodicTask(Base):
    """A task that one worker of all carries out when it is due; whichever moves `begun_at` first has it."""

    __tablename__ = "periodic_task"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Answer(Base):
    """One choice in an attempt: bit n of `chosen` is set when choice n was chosen."""

    __tablename__ = "answer"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    attempt_id: Mapped[uuid.UUID] = mapped_column(UuidBytes, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chosen: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    """The client's own number of the choice, where it gives one; of two choices the greater number is the newer."""
    answered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When a worker got the choice, by the database's clock."""
