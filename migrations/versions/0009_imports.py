"""Imports of files: what each did, and which item came by which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.bank.deduplication import stem_key
from webapp.bank.models import Blob
from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime

revision = "0009"
down_revision = "0008"

BATCH = 500
COUNTS = ("new", "changed", "duplicate", "possible", "repaired", "rejected", "removed", "restored")


def upgrade() -> None:
    # Nullable, and without a foreign key: SQLite adds no other columns, and to copy the table would lose the
    # triggers of its index of words.
    op.add_column("item", sa.Column("stem_key", Sha256))
    op.add_column("item", sa.Column("import_id", BigId))
    op.add_column("item_version", sa.Column("import_id", BigId))
    _fill_stem_keys(op.get_bind())
    op.create_index("ix_item_stem_key", "item", ["stem_key"])
    op.create_index("ix_item_import_id_id", "item", ["import_id", "id"])
    op.create_index("ix_item_version_import_id_item_id", "item_version", ["import_id", "item_id"])
    op.create_table(
        "item_import",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("file_format", sa.String(16), nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column("state", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in COUNTS),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Index("ix_item_import_state_at", "state", "at"),
        sqlite_autoincrement=True,
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "item_import_piece",
        sa.Column("import_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", Blob, nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["item_import.id"], name="fk_item_import_piece_import_id_item_import", ondelete="CASCADE"
        ),
        **MYSQL_TABLE_OPTIONS,
    )


def _fill_stem_keys(connection: sa.Connection) -> None:
    """Give the items that are there their keys, each batch with one statement that reads and one that writes."""
    item = sa.table("item", sa.column("id", BigId), sa.column("stem", sa.Text), sa.column("stem_key", Sha256))
    after = 0
    while True:
        page = sa.select(item.c.id, item.c.stem).where(item.c.id > after).order_by(item.c.id).limit(BATCH)
        keys = {row.id: stem_key(row.stem) for row in connection.execute(page)}
        if not keys:
            return
        their_own = sa.case(keys, value=item.c.id)
        connection.execute(sa.update(item).where(item.c.id.in_(keys)).values(stem_key=their_own))
        after = max(keys)


def downgrade() -> None:
    op.drop_table("item_import_piece")
    op.drop_table("item_import")
    op.drop_index("ix_item_version_import_id_item_id", "item_version")
    op.drop_index("ix_item_import_id_id", "item")
    op.drop_index("ix_item_stem_key", "item")
    op.drop_column("item_version", "import_id")
    op.drop_column("item", "import_id")
    op.drop_column("item", "stem_key")
