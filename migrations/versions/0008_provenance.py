"""Where items come from, and what they were before they were changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime

revision = "0008"
down_revision = "0007"

ADDED = ("address", "collected_at", "original", "identity_key", "fingerprints")


def upgrade() -> None:
    op.add_column("item", sa.Column("address", sa.String(500)))
    op.add_column("item", sa.Column("collected_at", UtcDateTime))
    op.add_column("item", sa.Column("original", sa.Text))
    op.add_column("item", sa.Column("identity_key", Sha256))
    op.add_column("item", sa.Column("fingerprints", sa.LargeBinary(256)))
    # SQLite has no ADD CONSTRAINT, and to copy the table would lose the triggers of its index of words.
    op.create_index("ix_item_identity_key", "item", ["identity_key"], unique=True)
    op.create_table(
        "item_version",
        sa.Column("item_id", BigId, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("stem", sa.Text, nullable=False),
        sa.Column("choices", sa.JSON, nullable=False),
        sa.Column("right", sa.JSON, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column("difficulty", sa.String(16)),
        sa.Column("source", sa.String(200)),
        sa.Column("licence", sa.String(100)),
        sa.Column("address", sa.String(500)),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_version_item_id_item", ondelete="CASCADE"),
        **MYSQL_TABLE_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("item_version")
    op.drop_index("ix_item_identity_key", "item")
    for name in ADDED:
        op.drop_column("item", name)
