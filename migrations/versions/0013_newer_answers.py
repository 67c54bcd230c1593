"""Answers know which of two is the newer one, and attempts count the batches that saved their answers."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.schema_steps import add_column, drop_column

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    add_column("answer", sa.Column("sequence", sa.BigInteger))
    add_column("attempt", sa.Column("saved_batches", sa.Integer, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    drop_column("attempt", "saved_batches")
    drop_column("answer", "sequence")
