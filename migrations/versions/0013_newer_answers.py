"""Answers know which of two is the newer one, and attempts count the batches that saved their answers."""

from __future__ import annotations

import sqlalchemy as sa

from webapp import schema_steps

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    schema_steps.add_column("answer", sa.Column("sequence", sa.BigInteger))
    schema_steps.add_column(
        "attempt", sa.Column("saved_batches", sa.Integer, nullable=False, server_default=sa.text("0"))
    )


def downgrade() -> None:
    schema_steps.drop_column("attempt", "saved_batches")
    schema_steps.drop_column("answer", "sequence")
