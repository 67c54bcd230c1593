"""Players can erase their attempts, and attempts are deleted after the period that author and operator allow."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.db.types import MYSQL_TABLE_OPTIONS, UtcDateTime
from webapp.schema_steps import add_column, create_table, drop_column, drop_table

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    add_column("attempt", sa.Column("erased_at", UtcDateTime))
    add_column("quiz_version", sa.Column("keep_days", sa.Integer))
    create_table(
        "deleted_attempts",
        sa.Column("quiz_version_id", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("begun", "finished", "score", "milliseconds")),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "periodic_task",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("begun_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    drop_table("periodic_task")
    drop_table("deleted_attempts")
    drop_column("quiz_version", "keep_days")
    drop_column("attempt", "erased_at")
