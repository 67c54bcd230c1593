"""Quizzes say when right answers are shown, and attempts that nobody has finished are scored when their quiz closes."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.db.types import UtcDateTime
from webapp.schema_steps import add_column, drop_column, execute

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    add_column("attempt", sa.Column("scored_at", UtcDateTime))
    add_column("quiz_version", sa.Column("answers_shown", sa.String(16)))
    # What was published before has shown them to whoever had finished, and still does.
    execute("UPDATE quiz_version SET answers_shown = 'after_finishing' WHERE answers_shown IS NULL")


def downgrade() -> None:
    drop_column("quiz_version", "answers_shown")
    drop_column("attempt", "scored_at")
