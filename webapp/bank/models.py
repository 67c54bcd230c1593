"""The table of items."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Dialect, Index, LargeBinary, String, Text, UniqueConstraint
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
    dedupe_key: Mapped[bytes] = mapped_column(Sha256)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
