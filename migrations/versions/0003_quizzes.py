"""Quizzes, the items of their drafts, their published versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "quiz",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("slug", name="uq_quiz_slug"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "quiz_item",
        sa.Column("quiz_id", BigId, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", BigId, nullable=False),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_item_quiz_id_quiz", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_quiz_item_item_id_item"),
        sa.Index("ix_quiz_item_item_id", "item_id"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "quiz_version",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("quiz_id", BigId, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("question_count", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("opens_at", UtcDateTime, nullable=False),
        sa.Column("closes_at", UtcDateTime, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_version_quiz_id_quiz"),
        sa.UniqueConstraint("quiz_id", "number", name="uq_quiz_version_quiz_id_number"),
        sa.Index("ix_quiz_version_closes_at_id", "closes_at", "id"),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("quiz_version")
    op.drop_table("quiz_item")
    op.drop_table("quiz")
