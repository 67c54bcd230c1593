"""The collector: runs, their strands and events, and the ledger of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _runs()
    op.create_table(
        "collection_ledger",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("day_began_at", UtcDateTime, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("free_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "collection_call",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["source"],
            ["collection_ledger.source"],
            name="fk_collection_call_source_collection_ledger",
            ondelete="CASCADE",
        ),
        sa.Index("ix_collection_call_source_ends_at", "source", "ends_at"),
        **MYSQL_TABLE_OPTIONS,
    )


def _runs() -> None:
    counts = ("returned", "new", "changed", "duplicate", "rejected", "calls")
    op.create_table(
        "collection_run",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ordered_by", sa.String(64)),
        sa.Column("ordered_at", UtcDateTime, nullable=False),
        sa.Column("began_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("resumes_at", UtcDateTime),
        sa.Column("worker", sa.String(80)),
        sa.Column("claim", sa.Integer, nullable=False),
        sa.Column("heartbeat_at", UtcDateTime),
        sa.Column("expected", sa.Integer),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("error", sa.Text),
        sa.Index("ix_collection_run_status_id", "status", "id"),
        sa.Index("ix_collection_run_source_id", "source", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "collection_strand",
        sa.Column("run_id", BigId, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True)),
        sa.Column("expected", sa.Integer),
        sa.Column("returned", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        _of_the_run("strand"),
        **MYSQL_TABLE_OPTIONS,
    )
    op.create_table(
        "collection_event",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        _of_the_run("event"),
        sa.Index("ix_collection_event_run_id_id", "run_id", "id"),
        **MYSQL_TABLE_OPTIONS,
    )


def _of_the_run(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_collection_{table}_run_id_collection_run"
    return sa.ForeignKeyConstraint(["run_id"], ["collection_run.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    for table in ("call", "ledger", "event", "strand", "run"):
        op.drop_table(f"collection_{table}")
