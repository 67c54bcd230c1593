"""The console: a row for each worker and minute, and what operators did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "worker_minute",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("worker", sa.String(40), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("used_most", sa.Integer, nullable=False),
        sa.Column("open_most", sa.Integer, nullable=False),
        sa.Column("waiting_most", sa.Integer, nullable=False),
        sa.Column("oldest_most", sa.Float, nullable=False),
        sa.Column("borrows", sa.BigInteger, nullable=False),
        sa.Column("busy", sa.Float, nullable=False),
        sa.Column("waited", sa.Float, nullable=False),
        sa.Column("turned_away", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("statements", sa.BigInteger, nullable=False),
        sa.Column("batches", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Index("ix_worker_minute_ended_at", "ended_at"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "console_deed",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("done_at", UtcDateTime, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("deed", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(500), nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("console_deed")
    op.drop_table("worker_minute")
