"""The tables of items and their earlier versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Dialect, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import MYSQL_TABLE, Base, BigId
from webapp.pooling.clock import UtcDateTime

Sha256 = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql").with_variant(mysql.BINARY(32), "mariadb")


def _has_fulltext(*_ddl: object, dialect: Dialect, **_options: object) -> bool:
    return dialect.name != "sqlite"


class Item(Base):
    """A question with its choices and answer.

    `choices` is a list of texts, `right` the positions of the right ones in it.
    """

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("dedupe_key"),
        Index(None, "identity_key", unique=True),
        Index(None, "category", "id"),
        Index(None, "difficulty", "id"),
        Index(None, "kind", "id"),
        # On SQLite the table item_words (FTS5) and its triggers do the same; see the migration.
        Index("ft_item_words", "words", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT").ddl_if(
            callable_=_has_fulltext
        ),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    stem: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    """The stem's words as they are searched for; see `search`."""
    choices: Mapped[list[str]] = mapped_column(JSON)
    right: Mapped[list[int]] = mapped_column(JSON)
    explanation: Mapped[str] = mapped_column(Text, default="")
    category: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(200))
    licence: Mapped[str | None] = mapped_column(String(100))
    address: Mapped[str | None] = mapped_column(String(500))
    collected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    original: Mapped[str | None] = mapped_column(Text)
    """The record as the source had it."""
    identity_key: Mapped[bytes | None] = mapped_column(Sha256)
    """Which record of which source it is, where the source names its records."""
    fingerprints: Mapped[bytes | None] = mapped_column(LargeBinary(256))
    """Of the records that a collection has seen as this item; None when a person answers for it."""
    dedupe_key: Mapped[bytes] = mapped_column(Sha256)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ItemVersion(Base):
    """What an item was before a change."""

    __tablename__ = "item_version"
    __table_args__ = (MYSQL_TABLE,)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    stem: Mapped[str] = mapped_column(Text)
    choices: Mapped[list[str]] = mapped_column(JSON)
    right: Mapped[list[int]] = mapped_column(JSON)
    explanation: Mapped[str] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(200))
    licence: Mapped[str | None] = mapped_column(String(100))
    address: Mapped[str | None] = mapped_column(String(500))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it became what it is here; it ended at the next version's."""
