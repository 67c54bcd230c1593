"""All tables: the baseline of the names that the product has now.

What came before (revisions 0001 to 0011) had other names of tables; such a schema is refused, see `webapp.schema`.
"""

from __future__ import annotations

import sqlalchemy as sa

from webapp.bank.models import Blob
from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime, UuidBytes
from webapp.schema_steps import create_full_text_index, create_table, drop_table, execute, has_table, is_sqlite

revision = "0012"
down_revision = None

IMPORT_COUNTS = ("new", "changed", "duplicate", "possible", "repaired", "rejected", "removed", "restored")
RUN_COUNTS = ("returned", "new", "changed", "duplicate", "rejected", "calls")
TABLES = (
    "idempotency_key", "collection_call", "collection_quota", "collection_event", "collection_partition",
    "collection_run", "console_action", "worker_minute", "answer", "attempt", "catalog_version", "quiz_version",
    "quiz_item", "quiz", "item_import_chunk", "item_import", "item_version", "item", "user",
)  # fmt: skip
"""In the order in which they can be dropped."""

# SQLite: an index over the column of words, kept by triggers (https://sqlite.org/fts5.html#external_content_tables).
FULL_TEXT_INDEX = (
    "CREATE VIRTUAL TABLE item_words USING fts5(words, content='item', content_rowid='id', tokenize='unicode61')",
    """CREATE TRIGGER item_words_insert AFTER INSERT ON item BEGIN
        INSERT INTO item_words(rowid, words) VALUES (new.id, new.words);
    END""",
    """CREATE TRIGGER item_words_delete AFTER DELETE ON item BEGIN
        INSERT INTO item_words(item_words, rowid, words) VALUES ('delete', old.id, old.words);
    END""",
    """CREATE TRIGGER item_words_update AFTER UPDATE OF words ON item BEGIN
        INSERT INTO item_words(item_words, rowid, words) VALUES ('delete', old.id, old.words);
        INSERT INTO item_words(rowid, words) VALUES (new.id, new.words);
    END""",
)


def upgrade() -> None:
    _create_user()
    _create_bank()
    _create_quizzes()
    _create_attempts()
    _create_console()
    _create_collection_runs()
    _create_collection_quota()
    _create_idempotency_key()


def downgrade() -> None:
    if is_sqlite():
        drop_table("item_words")
    for table in TABLES:
        drop_table(table)


def _create_user() -> None:
    create_table(
        "user",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("name", name="uq_user_name"),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_bank() -> None:
    create_table(
        "item",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("stem", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("choices", sa.JSON, nullable=False),
        sa.Column("right", sa.JSON, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column("difficulty", sa.String(16)),
        sa.Column("source", sa.String(200)),
        sa.Column("licence", sa.String(100)),
        sa.Column("dedupe_key", Sha256, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("address", sa.String(500)),
        sa.Column("collected_at", UtcDateTime),
        sa.Column("original", sa.Text),
        sa.Column("identity_key", Sha256),
        sa.Column("fingerprints", sa.LargeBinary(256)),
        sa.Column("stem_key", Sha256),
        sa.Column("import_id", BigId),
        sa.UniqueConstraint("dedupe_key", name="uq_item_dedupe_key"),
        sa.Index("ix_item_category_id", "category", "id"),
        sa.Index("ix_item_difficulty_id", "difficulty", "id"),
        sa.Index("ix_item_kind_id", "kind", "id"),
        sa.Index("ix_item_identity_key", "identity_key", unique=True),
        sa.Index("ix_item_stem_key", "stem_key"),
        sa.Index("ix_item_import_id_id", "import_id", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    if not is_sqlite():
        create_full_text_index("ft_item_words", "item", ["words"])
    elif not has_table("item_words"):
        # One transaction: the table is there with its triggers, or neither is.
        for statement in FULL_TEXT_INDEX:
            execute(statement)
    create_table(
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
        sa.Column("import_id", BigId),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_version_item_id_item", ondelete="CASCADE"),
        sa.Index("ix_item_version_import_id_item_id", "import_id", "item_id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "item_import",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("file_format", sa.String(16), nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column("state", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in IMPORT_COUNTS),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Index("ix_item_import_state_at", "state", "at"),
        sqlite_autoincrement=True,
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "item_import_chunk",
        sa.Column("import_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", Blob, nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["item_import.id"], name="fk_item_import_chunk_import_id_item_import", ondelete="CASCADE"
        ),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_quizzes() -> None:
    create_table(
        "quiz",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("slug", name="uq_quiz_slug"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "quiz_item",
        sa.Column("quiz_id", BigId, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", BigId, nullable=False),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_item_quiz_id_quiz", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_quiz_item_item_id_item"),
        sa.Index("ix_quiz_item_item_id", "item_id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "quiz_version",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("quiz_id", BigId, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("question_count", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("opens_at", UtcDateTime, nullable=False),
        sa.Column("closes_at", UtcDateTime, nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_quiz_version_quiz_id_quiz"),
        sa.UniqueConstraint("quiz_id", "number", name="uq_quiz_version_quiz_id_number"),
        sa.Index("ix_quiz_version_closes_at_id", "closes_at", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "catalog_version",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_attempts() -> None:
    create_table(
        "attempt",
        sa.Column("id", UuidBytes, primary_key=True),
        sa.Column("quiz_version_id", sa.BigInteger, nullable=False),
        sa.Column("player_id", UuidBytes, nullable=False),
        sa.Column("player_name", sa.String(40), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("score", sa.Integer),
        sa.Column("milliseconds", sa.BigInteger),
        sa.UniqueConstraint("quiz_version_id", "player_id", name="uq_attempt_quiz_version_id_player_id"),
        sa.Index("ix_attempt_finish", "quiz_version_id", "finished_at"),
        sa.Index("ix_attempt_leaderboard", "quiz_version_id", sa.text("score DESC"), "milliseconds", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "answer",
        sa.Column("attempt_id", UuidBytes, primary_key=True),
        sa.Column("item_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chosen", sa.BigInteger, nullable=False),
        sa.Column("answered_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_console() -> None:
    create_table(
        "worker_minute",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("worker", sa.String(40), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("used_most", sa.Integer, nullable=False),
        sa.Column("open_most", sa.Integer, nullable=False),
        sa.Column("waiting_most", sa.Integer, nullable=False),
        sa.Column("oldest_most", sa.Float, nullable=False),
        sa.Column("borrows", sa.BigInteger, nullable=False),
        sa.Column("busy", sa.Float, nullable=False),
        sa.Column("waited", sa.Float, nullable=False),
        sa.Column("turned_away", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("statements", sa.BigInteger, nullable=False),
        sa.Column("batches", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Index("ix_worker_minute_ended_at", "ended_at"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "console_action",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("done_at", UtcDateTime, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(500), nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_collection_runs() -> None:
    create_table(
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
        *(sa.Column(name, sa.Integer, nullable=False) for name in RUN_COUNTS),
        sa.Column("error", sa.Text),
        sa.Index("ix_collection_run_status_id", "status", "id"),
        sa.Index("ix_collection_run_source_id", "source", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "collection_partition",
        sa.Column("run_id", BigId, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True)),
        sa.Column("expected", sa.Integer),
        sa.Column("returned", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        _run_foreign_key("partition"),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "collection_event",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        _run_foreign_key("event"),
        sa.Index("ix_collection_event_run_id_id", "run_id", "id"),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_collection_quota() -> None:
    create_table(
        "collection_quota",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("day_began_at", UtcDateTime, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("free_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE_OPTIONS,
    )
    create_table(
        "collection_call",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["source"],
            ["collection_quota.source"],
            name="fk_collection_call_source_collection_quota",
            ondelete="CASCADE",
        ),
        sa.Index("ix_collection_call_source_ends_at", "source", "ends_at"),
        **MYSQL_TABLE_OPTIONS,
    )


def _create_idempotency_key() -> None:
    create_table(
        "idempotency_key",
        sa.Column("digest", Sha256, primary_key=True),
        sa.Column("body", Sha256, nullable=False),
        sa.Column("made", sa.BigInteger),
        sa.Column("used_at", UtcDateTime, nullable=False),
        sa.Index("ix_idempotency_key_used_at", "used_at"),
        **MYSQL_TABLE_OPTIONS,
    )


def _run_foreign_key(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_collection_{table}_run_id_collection_run"
    return sa.ForeignKeyConstraint(["run_id"], ["collection_run.id"], name=name, ondelete="CASCADE")
