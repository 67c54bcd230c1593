"""Time for an attempt, shuffling, several attempts of a player; points of questions, and draws from the bank."""

from __future__ import annotations

import sqlalchemy as sa

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, UtcDateTime, UuidBytes
from webapp.schema_steps import (
    add_column,
    create_index,
    create_table,
    drop_column,
    drop_index,
    drop_table,
    execute,
    is_sqlite,
    rename_table,
)

revision = "0016"
down_revision = "0015"

PLAYER = ("quiz_version_id", "player_id")
COLUMNS = (
    "id, quiz_version_id, player_id, player_name, started_at, finished_at, score, milliseconds, scored_at, "
    "saved_batches"
)


def upgrade() -> None:
    add_column("quiz_item", sa.Column("points", sa.SmallInteger, nullable=False, server_default=sa.text("1")))
    create_table(
        "quiz_draw",
        sa.Column("quiz_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.SmallInteger, nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column("difficulty", sa.String(16)),
        sa.Column("tag", sa.String(50)),
        sa.Column("points", sa.SmallInteger, nullable=False, server_default=sa.text("1")),
        sa.Column("for_each_player", sa.Boolean, nullable=False, server_default=sa.text("1")),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_draw_quiz_id_quiz", ondelete="CASCADE"),
        **MYSQL_TABLE_OPTIONS,
    )
    add_column("quiz_version", sa.Column("time_limit", sa.Integer))
    for name, default in (("shuffles_questions", "0"), ("shuffles_choices", "1")):
        add_column("quiz_version", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text(default)))
    add_column("quiz_version", sa.Column("max_attempts", sa.SmallInteger, nullable=False, server_default=sa.text("1")))
    # Of one attempt the best is the only one.
    counted = sa.Column("counted_attempt", sa.String(8), nullable=False, server_default=sa.text("'best'"))
    add_column("quiz_version", counted)
    add_column("quiz_version", sa.Column("attempt_pause", sa.Integer, nullable=False, server_default=sa.text("0")))
    if is_sqlite():
        # SQLite cannot drop a constraint: the table is made anew.
        _make_attempts(sa.Column("number", sa.SmallInteger, nullable=False, server_default=sa.text("1")))
        create_index("ix_attempt_player", "attempt", [*PLAYER, "number"], unique=True)
    else:
        add_column("attempt", sa.Column("number", sa.SmallInteger, nullable=False, server_default=sa.text("1")))
        create_index("ix_attempt_player", "attempt", [*PLAYER, "number"], unique=True)
        drop_index("uq_attempt_quiz_version_id_player_id", "attempt")


def downgrade() -> None:
    # Before, a player had one attempt.
    execute("DELETE FROM answer WHERE attempt_id IN (SELECT id FROM attempt WHERE number > 1)")
    execute("DELETE FROM attempt WHERE number > 1")
    if is_sqlite():
        _make_attempts(sa.UniqueConstraint(*PLAYER, name="uq_attempt_quiz_version_id_player_id"))
    else:
        create_index("uq_attempt_quiz_version_id_player_id", "attempt", list(PLAYER), unique=True)
        drop_index("ix_attempt_player", "attempt")
        drop_column("attempt", "number")
    for name in (
        "attempt_pause", "counted_attempt", "max_attempts", "shuffles_choices", "shuffles_questions", "time_limit",
    ):  # fmt: skip
        drop_column("quiz_version", name)
    drop_table("quiz_draw")
    drop_column("quiz_item", "points")


def _make_attempts(element: sa.Column[int] | sa.UniqueConstraint) -> None:
    """Make the table of attempts with this element and without what it had in its place; one transaction, on SQLite."""
    create_table(
        "attempt_copy",
        sa.Column("id", UuidBytes, primary_key=True),
        sa.Column("quiz_version_id", sa.BigInteger, nullable=False),
        sa.Column("player_id", UuidBytes, nullable=False),
        sa.Column("player_name", sa.String(40), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("score", sa.Integer),
        sa.Column("milliseconds", sa.BigInteger),
        sa.Column("scored_at", UtcDateTime),
        sa.Column("saved_batches", sa.Integer, nullable=False, server_default=sa.text("0")),
        element,
    )
    execute(f"INSERT INTO attempt_copy ({COLUMNS}) SELECT {COLUMNS} FROM attempt")  # noqa: S608 - names of columns
    drop_table("attempt")
    rename_table("attempt_copy", "attempt")
    create_index("ix_attempt_finish", "attempt", ["quiz_version_id", "finished_at"])
    leaders: list[str | sa.TextClause] = ["quiz_version_id", sa.text("score DESC"), "milliseconds", "id"]
    create_index("ix_attempt_leaderboard", "attempt", leaders)
