"""The tables of quizzes, their items and their published versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, OptionalEnd, UtcDateTime
from webapp.extensions import Base


class Quiz(Base):
    """A draft; what players see is its latest published version."""

    __tablename__ = "quiz"
    __table_args__ = (UniqueConstraint("slug"), Index(None, "join_code", unique=True), MYSQL_TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(default=1)
    """Counts changes of the draft, for If-Match; not the number of a published version."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    join_code: Mapped[str | None] = mapped_column(String(6))
    """With which players find it, see `join_codes`; None until it is published."""


class QuizItem(Base):
    """An item's position in a draft. The bank cannot delete an item that is in a draft."""

    __tablename__ = "quiz_item"
    __table_args__ = (Index(None, "item_id"), MYSQL_TABLE_OPTIONS)

    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    points: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))


class QuizDraw(Base):
    """A number of items that are drawn at random from those of the bank that match when the quiz is published.

    Draws and items of a draft share one sequence of positions.
    """

    __tablename__ = "quiz_draw"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(SmallInteger)
    """How many items are drawn."""
    category: Mapped[str | None] = mapped_column(String(100))
    difficulty: Mapped[str | None] = mapped_column(String(16))
    tag: Mapped[str | None] = mapped_column(String(50))
    points: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    """Of each item that is drawn."""
    for_each_player: Mapped[bool] = mapped_column(server_default=text("1"))
    """Whether each player gets a draw of their own; otherwise one is made at the publication, for all."""


class QuizSection(Base):
    """A title that stands above a run of a draft's items: from the one at this position to the next title.

    A section without items is kept for its author, who is going to fill it; players do not see it.
    """

    __tablename__ = "quiz_section"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))


class QuizVersion(Base):
    """A published version: `document` never changes, the rules (see `rules`) may.

    The rules are those of the quiz, the same in all of its versions: in this row the statement that stores an answer
    finds them without a further one. A published quiz cannot be deleted: the foreign key refuses it.
    """

    __tablename__ = "quiz_version"
    __table_args__ = (
        UniqueConstraint("quiz_id", "number"),
        Index(None, "closes_at", "id"),
        MYSQL_TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    number: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    """A rule, as are the window and all that follows it but `published_at`."""
    question_count: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    opens_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closes_at: Mapped[datetime | None] = mapped_column(OptionalEnd, nullable=False)
    answers_shown: Mapped[str | None] = mapped_column(String(16))
    """When players see the right answers; None: by whether the quiz has an end."""
    is_unlisted: Mapped[bool] = mapped_column(server_default=text("0"))
    """A rule: no list that players see names the quiz."""
    keep_days: Mapped[int | None]
    """A rule: days for which attempts are kept after they are over; None: as long as the operator allows."""
    time_limit: Mapped[int | None] = mapped_column(Integer)
    """Seconds from the start of an attempt, for which it takes answers; None: as long as the quiz does."""
    shuffles_questions: Mapped[bool] = mapped_column(server_default=text("0"))
    shuffles_choices: Mapped[bool] = mapped_column(server_default=text("1"))
    max_attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    """How often a player may play the quiz."""
    counted_attempt: Mapped[str] = mapped_column(String(8), server_default=text("'best'"))
    """Which of a player's attempts counts."""
    attempt_pause: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Seconds from the end of an attempt to the next one of the same player."""
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CatalogVersionRow(Base):
    """One row: every change of what players may see changes it."""

    __tablename__ = "catalog_version"
    __table_args__ = (MYSQL_TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)
