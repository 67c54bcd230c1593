"""The table of requests that may come twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.timestamps import UtcDateTime
from webapp.extensions import MYSQL_TABLE_OPTIONS, Base, Sha256


class IdempotencyKey(Base):
    """A request that came with a key, and what it has made; kept for a day."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_used_at", "used_at"), MYSQL_TABLE_OPTIONS)

    digest: Mapped[bytes] = mapped_column(Sha256, primary_key=True)
    """Of who asks, the operation and the key: nobody meets somebody else's."""
    body: Mapped[bytes] = mapped_column(Sha256)
    """The request's digest, by which a repeat is told from another request."""
    made: Mapped[int | None] = mapped_column(BigInteger)
    """Id of what was made; NULL only within the transaction that makes it."""
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
