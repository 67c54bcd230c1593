"""Attempts by the time of their finish: the board asks for those that are new."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("ix_attempt_finish", "attempt", ["quiz_version_id", "finished_at"])


def downgrade() -> None:
    op.drop_index("ix_attempt_finish", "attempt")
