"""Sessions of browsers are rows, users can be disabled, and wrong passwords are counted."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime, UuidBytes
from webapp.schema_steps import add_column, create_table, drop_column, drop_table

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    add_column("user", sa.Column("last_sign_in_at", UtcDateTime))
    add_column("user", sa.Column("disabled_at", UtcDateTime))
    add_column("user", sa.Column("session_generation", sa.Integer, nullable=False, server_default=sa.text("0")))
    create_table(
        "user_session",
        sa.Column("id", UuidBytes, primary_key=True),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_session_user_id_user", ondelete="CASCADE"),
        sa.Index("ix_user_session_user_id", "user_id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "sign_in_failure",
        sa.Column("key", Sha256, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failed_at", UtcDateTime, nullable=False),
        sa.Index("ix_sign_in_failure_last_failed_at", "last_failed_at"),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    drop_table("sign_in_failure")
    drop_table("user_session")
    for column in ("session_generation", "disabled_at", "last_sign_in_at"):
        drop_column("user", column)
