"""The tables that migrations make are the tables that the models mean, on every database, up and down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import MetaData, Table, insert, inspect, text

from webapp import create_app
from webapp.bank.identity import stem_key
from webapp.extensions import db
from webapp.lab.factories import settings_for
from webapp.schema import MIGRATIONS, current_revision, downgrade, newest_revision, upgrade


@pytest.fixture
def empty(database: str, new_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[Flask]:
    app = create_app(settings_for(new_schema(database, "poolproof_migrations"), tmp_path))
    yield app
    app.extensions["pooling"].work.engine.dispose()


# FTS5 keeps its index in tables of its own; reflection cannot tell the order of an index's columns.
NOT_COMPARED = ("item_words", "ft_item", "ix_attempt_board")


def tables(app: Flask) -> set[str]:
    engine = app.extensions["pooling"].work.engine
    return {name for name in inspect(engine).get_table_names() if not name.startswith("item_words")}


def test_up_makes_what_the_models_mean(empty: Flask) -> None:
    upgrade(empty)
    with empty.extensions["pooling"].work.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda thing, name, kind, *rest: not str(name).startswith(NOT_COMPARED),
            },
        )
        assert compare_metadata(context, db.metadata) == []


def test_down_takes_everything_away_and_up_again_works(empty: Flask) -> None:
    upgrade(empty)
    downgrade(empty, "base")
    assert tables(empty) == {"alembic_version"}
    upgrade(empty)
    assert {"user", "item", "quiz", "quiz_item", "quiz_version", "attempt", "answer"} <= tables(empty)


def test_every_step_goes_down_and_up_by_itself(empty: Flask) -> None:
    for revision in ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"):
        upgrade(empty, revision)
        downgrade(empty, "-1")
        upgrade(empty, revision)


def test_migrating_twice_changes_nothing(empty: Flask) -> None:
    upgrade(empty)
    before = tables(empty)
    upgrade(empty)
    assert tables(empty) == before


def test_items_that_were_there_before_are_found_by_their_stem_after(empty: Flask) -> None:
    work = empty.extensions["pooling"].work
    upgrade(empty)
    downgrade(empty, "0008")
    stems = [f"Item number {number}?" for number in range(1100)]
    row = {"kind": "single", "choices": "[]", "right": "[]", "explanation": "", "version": 1}
    old = Table("item", MetaData(), autoload_with=work.engine)
    now = datetime(2026, 1, 1)  # noqa: DTZ001 - the column's own form
    rows = [
        row | {"stem": stem, "words": stem, "dedupe_key": stem.ljust(32).encode(), "created_at": now, "changed_at": now}
        for stem in stems
    ]
    work.transact(lambda connection: connection.execute(old.delete()))
    work.transact(lambda connection: connection.execute(insert(old), rows))
    upgrade(empty)
    with work.read() as connection:
        found = connection.execute(text("SELECT stem, stem_key FROM item")).all()
    assert {stem: bytes(key) for stem, key in found} == {stem: stem_key(stem) for stem in stems}


def test_the_tables_are_current_when_and_only_when_the_newest_migration_has_run(empty: Flask) -> None:
    work = empty.extensions["pooling"].work

    def revision() -> str | None:
        with work.read() as connection:
            return current_revision(connection)

    assert revision() is None
    upgrade(empty)
    assert revision() == newest_revision()
    downgrade(empty, "-1")
    assert revision() not in {None, newest_revision()}


def test_the_newest_file_is_what_alembic_takes_for_the_head() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_current_head() == newest_revision()
    assert all(Path(found.path).name.startswith(f"{found.revision}_") for found in script.walk_revisions())
