"""Attempts and answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, UtcDateTime, UuidBytes

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", UuidBytes, primary_key=True),
        sa.Column("quiz_version_id", sa.BigInteger, nullable=False),
        sa.Column("player_id", UuidBytes, nullable=False),
        sa.Column("player_name", sa.String(40), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("score", sa.Integer),
        sa.Column("milliseconds", sa.BigInteger),
        sa.UniqueConstraint("quiz_version_id", "player_id", name="uq_attempt_quiz_version_id_player_id"),
        sa.Index("ix_attempt_board", "quiz_version_id", sa.text("score DESC"), "milliseconds", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "answer",
        sa.Column("attempt_id", UuidBytes, primary_key=True),
        sa.Column("item_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chosen", sa.BigInteger, nullable=False),
        sa.Column("answered_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("answer")
    op.drop_table("attempt")
