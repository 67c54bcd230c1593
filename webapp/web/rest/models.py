"""The table of idempotency keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, Sha256, UtcDateTime
from webapp.extensions import Base


class IdempotencyKey(Base):
    """A request that was sent with a key, and the resource that it created; kept for a day."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_used_at", "used_at"), MYSQL_TABLE_OPTIONS)

    digest: Mapped[bytes] = mapped_column(Sha256, primary_key=True)
    """Of the user, the operation and the key, so that keys of different users never collide."""
    body: Mapped[bytes] = mapped_column(Sha256)
    """Digest of the request's body, which distinguishes a repeat from another request."""
    made: Mapped[int | None] = mapped_column(BigInteger)
    """Id of the created resource; NULL only within the transaction that creates it."""
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
