"""The steps of a migration: what is there stays, what is missing is made, a busy table is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.support.migration_starts import NewSchema, described
from tests.support.trial_migration import add_migration
from tests.support.waiting import wait_until
from webapp import schema, schema_steps
from webapp.app import create_app
from webapp.lab.factories import make_settings
from webapp.lab.services.programs import Flavour
from webapp.migration_lease.lease import MigrationError

UP = """
steps.create_table(
    "trial",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("quiz_id", sa.BigInteger().with_variant(sa.Integer, "sqlite")),
    sa.Column("name", sa.String(10)),
    sa.ForeignKeyConstraint(["quiz_id"], ["quiz.id"], name="fk_trial_quiz"),
    sa.Index("ix_trial_name", "name"),
    sa.Index("ix_trial_quiz_id", "quiz_id"),
)
steps.add_column("quiz", sa.Column("note", sa.String(10)))
steps.create_index("ix_quiz_note", "quiz", ["note"])
steps.execute("UPDATE quiz SET note = 'old' WHERE note IS NULL")
"""
DOWN = """
steps.drop_index("ix_quiz_note", "quiz")
steps.drop_column("quiz", "note")
steps.drop_table("trial")
"""
PIECES = {
    # As the server keeps it where a killed process's CREATE TABLE was the last that it got.
    "the table without its indexes": [
        """CREATE TABLE trial (
            id INTEGER NOT NULL PRIMARY KEY, quiz_id {number}, name VARCHAR(10),
            CONSTRAINT fk_trial_quiz FOREIGN KEY (quiz_id) REFERENCES quiz (id)
        )""",
    ],
    "a column": ["ALTER TABLE quiz ADD COLUMN note VARCHAR(10)"],
    "a column with its index": [
        "ALTER TABLE quiz ADD COLUMN note VARCHAR(10)", "CREATE INDEX ix_quiz_note ON quiz (note)",
    ],
}  # fmt: skip


@contextmanager
def engine_on(url: str) -> Iterator[Engine]:
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()


def run(url: str, *statements: str) -> None:
    with engine_on(url) as engine, engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def upgrade(url: str, folder: Path, revision: str = "head") -> None:
    schema.upgrade(create_app(make_settings(url, folder), with_routes=False), revision)


def downgrade(url: str, folder: Path, revision: str) -> None:
    schema.downgrade(create_app(make_settings(url, folder), with_routes=False), revision)


@pytest.mark.parametrize("pieces", PIECES)
def test_a_migration_of_which_a_part_is_there_is_completed_up_and_down(
    database: str, migrated_schema: NewSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: str
) -> None:
    url, before = migrated_schema(database, "steps"), schema.head_revision()
    old = described(url)
    add_migration(tmp_path, monkeypatch, UP, DOWN)
    upgrade(url, tmp_path)
    new = described(url)
    assert new != old
    downgrade(url, tmp_path, "-1")
    assert described(url) == old
    number = "INTEGER" if database == "sqlite" else "BIGINT"
    run(url, *(statement.format(number=number) for statement in PIECES[pieces]))
    # SQLite keeps the text of what made a table.
    upgrade(url, tmp_path)
    made = described(url)
    assert made.keys() == new.keys()
    assert database == "sqlite" or made == new
    # What is missing is no obstacle on the way down either.
    run(url, "DROP TABLE trial")
    downgrade(url, tmp_path, before)
    assert described(url) == old


def test_there_is_no_way_to_a_revision_that_no_migration_has(
    database: str, migrated_schema: NewSchema, tmp_path: Path
) -> None:
    with pytest.raises(MigrationError, match=r"There is no revision abc; there are 0012"):
        upgrade(migrated_schema(database, "steps"), tmp_path, "abc")


@pytest.fixture
def url(server_flavour: Flavour, migrated_schema: NewSchema) -> str:
    return migrated_schema(server_flavour, "poolproof_steps")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_FOR_TABLE", 1)
    monkeypatch.setattr(schema_steps, "RETRY_INTERVAL", 0.05)


@contextmanager
def reading(url: str, table: str = "quiz") -> Iterator[None]:
    """Keep a table open by a transaction that has read it."""
    with engine_on(url) as engine, engine.connect() as connection:
        connection.execute(text(f"SELECT COUNT(*) FROM {table}"))
        yield
        connection.rollback()


def has_note(url: str) -> bool:
    return "`note`" in described(url)["quiz"][0]


def test_a_table_that_stays_busy_is_named_and_the_next_start_goes_on(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(schema_steps, "ATTEMPTS", 2)
    add_migration(tmp_path, monkeypatch, "steps.add_column('quiz', sa.Column('note', sa.String(10)))")
    with reading(url), pytest.raises(MigrationError, match=r"The table quiz, .* in use by others.*start again"):
        upgrade(url, tmp_path)
    assert not has_note(url)
    upgrade(url, tmp_path)
    assert has_note(url)


def test_a_table_that_is_busy_for_a_while_is_waited_for_without_queueing_in_front_of_others(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    add_migration(tmp_path, monkeypatch, UP)
    waits: list[float] = []
    held = reading(url)
    held.__enter__()

    def let_go(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            held.__exit__(None, None, None)

    # Between two attempts nobody waits behind the change.
    monkeypatch.setattr(schema_steps, "sleep", let_go)
    upgrade(url, tmp_path)
    assert (has_note(url), len(waits)) == (True, 2)


def test_a_statement_of_a_start_that_was_killed_goes_on_in_the_server_and_is_taken_for_done(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "WAIT_FOR_TABLE", 60)
    add_migration(tmp_path, monkeypatch, "steps.add_column('quiz', sa.Column('note', sa.String(10)))")
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE quiz%'"
    killed = threading.Thread(target=run, args=(url, "ALTER TABLE quiz ADD COLUMN note VARCHAR(10)"))
    started = threading.Thread(target=upgrade, args=(url, tmp_path))
    with engine_on(url) as engine, engine.connect() as other_session:

        def until(count: int) -> None:
            wait_until(lambda: other_session.execute(text(waiting)).scalar_one() == count)

        with reading(url):
            killed.start()
            until(1)
            started.start()
            until(2)
        killed.join()
        started.join()
    assert has_note(url)
    # It was not refused.
    with engine_on(url) as engine, engine.connect() as connection:
        assert schema.is_current(connection)


def test_an_error_that_is_no_repetition_is_an_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_migration(tmp_path, monkeypatch, "steps.create_index('ix', 'quiz', ['no_such_column'])")
    with pytest.raises(OperationalError, match="no_such_column"):
        upgrade(url, tmp_path)
