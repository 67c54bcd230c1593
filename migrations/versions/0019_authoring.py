"""Items have pinned choices and tags, and the drafts of quizzes have sections."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId
from webapp.schema_steps import add_column, create_table, drop_column, drop_table

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    add_column("item", sa.Column("pinned", sa.Integer, nullable=False, server_default=sa.text("0")))
    add_column("item_version", sa.Column("pinned", sa.Integer, nullable=False, server_default=sa.text("0")))
    create_table(
        "item_tag",
        sa.Column("item_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("tag", sa.String(50), primary_key=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_tag_item_id_item", ondelete="CASCADE"),
        sa.Index("ix_item_tag_tag_item_id", "tag", "item_id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "quiz_section",
        sa.Column("quiz_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_section_quiz_id_quiz", ondelete="CASCADE"),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    drop_table("quiz_section")
    drop_table("item_tag")
    drop_column("item_version", "pinned")
    drop_column("item", "pinned")
