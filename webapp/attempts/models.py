"""The tables of attempts and answers. No foreign key leaves them: attempts may live on another server."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Dialect, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from webapp.db.timestamps import UtcDateTime
from webapp.extensions import MYSQL_TABLE_OPTIONS, Base


class UuidBytes(TypeDecorator[uuid.UUID]):
    """A UUID in 16 bytes, so that UUIDv7 keys stay in order of time and small."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bytes]:
        """MySQL indexes BINARY whole, a BLOB only in part."""
        return dialect.type_descriptor(LargeBinary(16) if dialect.name == "sqlite" else mysql.BINARY(16))

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> bytes | None:
        """UUID to bytes."""
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> uuid.UUID | None:
        """Bytes to UUID."""
        return None if value is None else uuid.UUID(bytes=bytes(value))


class Attempt(Base):
    """Born with its first answer or its finish; `score` is set once, by finish."""

    __tablename__ = "attempt"
    __table_args__ = (
        # One go for each player: whoever has seen the right answers cannot play again for the board.
        UniqueConstraint("quiz_version_id", "player_id"),
        # The board reads it from its start: best score first, then the fastest.
        Index("ix_attempt_finish", "quiz_version_id", "finished_at"),
        Index("ix_attempt_leaderboard", "quiz_version_id", text("score DESC"), "milliseconds", "id"),
        MYSQL_TABLE_OPTIONS,
    )

    id: Mapped[uuid.UUID] = mapped_column(UuidBytes, primary_key=True)
    quiz_version_id: Mapped[int] = mapped_column(BigInteger)
    player_id: Mapped[uuid.UUID] = mapped_column(UuidBytes)
    player_name: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    score: Mapped[int | None]
    milliseconds: Mapped[int | None] = mapped_column(BigInteger)
    """From start to finish by the database's clock; the faster of two equal scores leads."""


class Answer(Base):
    """One choice in an attempt: bit n of `chosen` is set when choice n was chosen."""

    __tablename__ = "answer"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    attempt_id: Mapped[uuid.UUID] = mapped_column(UuidBytes, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chosen: Mapped[int] = mapped_column(BigInteger)
    answered_at: Mapped[datetime] = mapped_column(UtcDateTime)
