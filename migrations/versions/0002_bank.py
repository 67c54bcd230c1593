"""Items, found by the words of their stem."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.db.types import MYSQL_TABLE_OPTIONS, BigId, Sha256, UtcDateTime

revision = "0002"
down_revision = "0001"

# SQLite: an index over the column of words, kept by triggers (https://sqlite.org/fts5.html#external_content_tables).
WORDS_UP = (
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
    op.create_table(
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
        sa.UniqueConstraint("dedupe_key", name="uq_item_dedupe_key"),
        sa.Index("ix_item_category_id", "category", "id"),
        sa.Index("ix_item_difficulty_id", "difficulty", "id"),
        sa.Index("ix_item_kind_id", "kind", "id"),
        **MYSQL_TABLE_OPTIONS,
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in WORDS_UP:
            op.execute(statement)
    else:
        op.execute("CREATE FULLTEXT INDEX ft_item_words ON item (words)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE item_words")
    op.drop_table("item")
