"""Items, found by the words of their stem."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from webapp.bank.models import SearchedText, Sha256
from webapp.extensions import MYSQL_TABLE, BigId
from webapp.pooling.clock import UtcDateTime

revision = "0002"
down_revision = "0001"

# SQLite: an index of words over the stems, kept by triggers (https://sqlite.org/fts5.html#external_content_tables).
WORDS_UP = (
    "CREATE VIRTUAL TABLE item_words USING fts5(stem, content='item', content_rowid='id', tokenize='unicode61')",
    """CREATE TRIGGER item_words_insert AFTER INSERT ON item BEGIN
        INSERT INTO item_words(rowid, stem) VALUES (new.id, new.stem);
    END""",
    """CREATE TRIGGER item_words_delete AFTER DELETE ON item BEGIN
        INSERT INTO item_words(item_words, rowid, stem) VALUES ('delete', old.id, old.stem);
    END""",
    """CREATE TRIGGER item_words_update AFTER UPDATE OF stem ON item BEGIN
        INSERT INTO item_words(item_words, rowid, stem) VALUES ('delete', old.id, old.stem);
        INSERT INTO item_words(rowid, stem) VALUES (new.id, new.stem);
    END""",
)


def upgrade() -> None:
    op.create_table(
        "item",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("stem", SearchedText, nullable=False),
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
        **MYSQL_TABLE,
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in WORDS_UP:
            op.execute(statement)
    else:
        # Common words count as well: a stop word in a search must not empty its result.
        op.execute("SET SESSION innodb_ft_enable_stopword = OFF")
        op.execute("CREATE FULLTEXT INDEX ft_item_stem ON item (stem)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE item_words")
    op.drop_table("item")
