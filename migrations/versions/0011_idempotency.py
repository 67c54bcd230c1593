"""Keys of requests that may come twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, Sha256, UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("digest", Sha256, primary_key=True),
        sa.Column("body", Sha256, nullable=False),
        sa.Column("made", sa.BigInteger),
        sa.Column("used_at", UtcDateTime, nullable=False),
        sa.Index("ix_idempotency_key_used_at", "used_at"),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("idempotency_key")
