"""The tables of the collector: runs with their partitions and events, and the quotas and calls of sources."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime
from webapp.extensions import Base


class CollectionRun(Base):
    """One collection of one source, from its request to its end."""

    __tablename__ = "collection_run"
    __table_args__ = (Index(None, "status", "id"), Index(None, "source", "id"), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    ordered_by: Mapped[str | None] = mapped_column(String(64))
    ordered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resumes_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The end of a pause."""
    worker: Mapped[str | None] = mapped_column(String(80))
    claim: Mapped[int] = mapped_column(default=0)
    """How often a worker has claimed the run; only the latest one may write."""
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expected: Mapped[int | None]
    returned: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    duplicate: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    calls: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)


class CollectionPartition(Base):
    """An independent part of a run's work, and its progress."""

    __tablename__ = "collection_partition"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    run_id: Mapped[int] = mapped_column(ForeignKey("collection_run.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200))
    state: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Where to continue; None when the partition is done."""
    expected: Mapped[int | None]
    returned: Mapped[int] = mapped_column(default=0)
    pages: Mapped[int] = mapped_column(default=0)


class CollectionEvent(Base):
    """An event of a run."""

    __tablename__ = "collection_event"
    __table_args__ = (Index(None, "run_id", "id"), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("collection_run.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(String(500))


class CollectionQuota(Base):
    """The calls to a source that all processes of all machines have made, and when the next may begin."""

    __tablename__ = "collection_quota"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    day_began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    calls: Mapped[int] = mapped_column(default=0)
    """Since the day began."""
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the next call may begin."""


class CollectionCall(Base):
    """A call that is in flight, or whose process died during it."""

    __tablename__ = "collection_call"
    __table_args__ = (Index(None, "source", "ends_at"), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(ForeignKey("collection_quota.source", ondelete="CASCADE"))
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the call counts as ended at the latest."""
