"""The tables of items, their earlier versions, and the imports of files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Dialect, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime
from webapp.extensions import Base

Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


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
        Index(None, "stem_key"),
        Index(None, "import_id", "id"),
        # On SQLite the table item_words (FTS5) and its triggers do the same; see the migration.
        Index("ft_item_words", "words", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT").ddl_if(
            callable_=_has_fulltext
        ),
        MYSQL_TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    stem: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    """The stem's words in the form in which they are searched for; see `search`."""
    choices: Mapped[list[str]] = mapped_column(JSON)
    right: Mapped[list[int]] = mapped_column(JSON)
    pinned: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """The choices that keep their positions when choices are shuffled: bit n stands for the choice at position n."""
    explanation: Mapped[str] = mapped_column(Text, default="")
    category: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(200))
    licence: Mapped[str | None] = mapped_column(String(100))
    address: Mapped[str | None] = mapped_column(String(500))
    collected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    original: Mapped[str | None] = mapped_column(Text)
    """The record as the source has it."""
    identity_key: Mapped[bytes | None] = mapped_column(Sha256)
    """A hash of the source and its id of the record, where the source has ids."""
    fingerprints: Mapped[bytes | None] = mapped_column(LargeBinary(256))
    """Of the records that collections have merged into this item; None when it belongs to an author."""
    dedupe_key: Mapped[bytes] = mapped_column(Sha256)
    stem_key: Mapped[bytes | None] = mapped_column(Sha256)
    """Equal for equal stems: items with other choices may still be the same question."""
    import_id: Mapped[int | None] = mapped_column(BigId)
    """The import that made the present version; None when something else did."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ItemTag(Base):
    """A tag of an item. Tags are labels for finding items: they are no part of the content, and have no versions."""

    __tablename__ = "item_tag"
    __table_args__ = (Index(None, "tag", "item_id"), MYSQL_TABLE_OPTIONS)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(50), primary_key=True)


class ItemVersion(Base):
    """The content of an item before a change."""

    __tablename__ = "item_version"
    __table_args__ = (Index(None, "import_id", "item_id"), MYSQL_TABLE_OPTIONS)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    stem: Mapped[str] = mapped_column(Text)
    choices: Mapped[list[str]] = mapped_column(JSON)
    right: Mapped[list[int]] = mapped_column(JSON)
    pinned: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    explanation: Mapped[str] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(200))
    licence: Mapped[str | None] = mapped_column(String(100))
    address: Mapped[str | None] = mapped_column(String(500))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When this version began; it ended when the next one began."""
    import_id: Mapped[int | None] = mapped_column(BigId)


class ItemImport(Base):
    """A file that was uploaded or imported, and whose import may be undone."""

    __tablename__ = "item_import"
    # Without autoincrement SQLite would reuse the number of a deleted import.
    __table_args__ = (Index(None, "state", "at"), MYSQL_TABLE_OPTIONS | {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    account: Mapped[str | None] = mapped_column(String(64))
    """The name of the account that imports; None for a command."""
    file_name: Mapped[str] = mapped_column(String(200))
    file_format: Mapped[str] = mapped_column(String(16))
    category: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16))
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    duplicate: Mapped[int] = mapped_column(default=0)
    possible: Mapped[int] = mapped_column(default=0)
    repaired: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    removed: Mapped[int] = mapped_column(default=0)
    """Items that undoing the import has removed."""
    restored: Mapped[int] = mapped_column(default=0)
    """Items that undoing the import has restored."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The first of the rejected records, of the possible duplicates, and of the items that undoing did not change."""


class ItemImportChunk(Base):
    """A chunk of a file between its upload and its import."""

    __tablename__ = "item_import_chunk"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    import_id: Mapped[int] = mapped_column(ForeignKey("item_import.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(Blob)
