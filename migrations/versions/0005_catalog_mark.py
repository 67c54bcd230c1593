"""A mark that changes whenever something is published, closed, renamed or deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "catalog_mark",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("catalog_mark")
