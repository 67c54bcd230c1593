"""The tables of users, their sessions, and of sign-ins that failed."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime, UuidBytes
from webapp.extensions import Base


class User(Base):
    """An author or operator, who signs in. Players need no account."""

    __tablename__ = "user"
    __table_args__ = (UniqueConstraint("name"), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when the user may not sign in; NULL for one who may."""
    session_generation: Mapped[int] = mapped_column(server_default=text("0"))
    """How often all sessions were ended; REST tokens of an earlier one are void."""


class UserSession(Base):
    """A browser in which a user is signed in."""

    __tablename__ = "user_session"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    id: Mapped[uuid.UUID] = mapped_column(UuidBytes, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SignInFailure(Base):
    """How many sign-ins in a row have failed under a name, or on a device; `key` is a digest of it."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    key: Mapped[bytes] = mapped_column(Sha256, primary_key=True)
    failures: Mapped[int]
    last_failed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
