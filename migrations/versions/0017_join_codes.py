"""Quizzes have a join code, and may be unlisted."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.schema_steps import add_column, create_index, drop_column, drop_index

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # What is published already gets its code when its author asks for it.
    add_column("quiz", sa.Column("join_code", sa.String(6)))
    create_index("ix_quiz_join_code", "quiz", ["join_code"], unique=True)
    add_column("quiz_version", sa.Column("is_unlisted", sa.Boolean, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    drop_column("quiz_version", "is_unlisted")
    drop_index("ix_quiz_join_code", "quiz")
    drop_column("quiz", "join_code")
