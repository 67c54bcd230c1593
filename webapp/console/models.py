"""The console's tables: minutes of workers, kept for a day, and what operators did, kept for good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime
from webapp.extensions import Base


class WorkerMinute(Base):
    """One process in one minute. Times are seconds; `busy` is the sum over its connections, `waited` over its waits."""

    __tablename__ = "worker_minute"
    __table_args__ = (Index("ix_worker_minute_ended_at", "ended_at"), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    machine: Mapped[str] = mapped_column(String(64))
    worker: Mapped[str] = mapped_column(String(40))
    """The key of its file in the fleet."""
    seconds: Mapped[float] = mapped_column(Float)
    used_most: Mapped[int]
    open_most: Mapped[int]
    waiting_most: Mapped[int]
    oldest_most: Mapped[float] = mapped_column(Float)
    borrows: Mapped[int] = mapped_column(BigInteger)
    busy: Mapped[float] = mapped_column(Float)
    waited: Mapped[float] = mapped_column(Float)
    turned_away: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)
    statements: Mapped[int] = mapped_column(BigInteger)
    batches: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(BigInteger)


class ConsoleAction(Base):
    """What an operator has done from the console, and what came of it."""

    __tablename__ = "console_action"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    done_at: Mapped[datetime] = mapped_column(UtcDateTime)
    operator: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(500))
