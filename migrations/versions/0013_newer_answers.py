"""Answers know which of two is the newer one, and attempts count the batches that saved their answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("answer", sa.Column("sequence", sa.BigInteger))
    op.add_column("attempt", sa.Column("saved_batches", sa.Integer, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("attempt", "saved_batches")
    op.drop_column("answer", "sequence")
