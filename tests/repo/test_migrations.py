"""The tables that migrations make are the tables that the models mean, on every database, up and down."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, text

from webapp import create_app
from webapp.cli import load_command
from webapp.cli_errors import describe_error
from webapp.extensions import db
from webapp.lab.factories import make_quiz, make_settings
from webapp.migration_lease.row_lease import LEASE_TABLE
from webapp.quizzes import published
from webapp.quizzes.rules import AnswersShown
from webapp.schema import (
    MIGRATIONS_FOLDER,
    UnknownRevisionError,
    current_revision,
    downgrade,
    head_revision,
    known_revisions,
    upgrade,
)


@contextmanager
def app_on(url: str, folder: Path) -> Iterator[Flask]:
    app = create_app(make_settings(url, folder))
    yield app
    app.extensions["pooling"].work.engine.dispose()


@pytest.fixture
def empty(database: str, new_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[Flask]:
    with app_on(new_schema(database, "poolproof_migrations"), tmp_path) as app:
        yield app


@pytest.fixture
def migrated(database: str, migrated_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[Flask]:
    with app_on(migrated_schema(database, "poolproof_migrations"), tmp_path) as app:
        yield app


REVISIONS = sorted(known_revisions())


@dataclass(frozen=True)
class Walk:
    """Up from nothing: each revision up, down again, and up; and the revisions that the tables had after each."""

    app: Flask
    seen: list[tuple[str | None, str | None, str | None]]


@pytest.fixture(scope="module")
def walk(
    database: str, new_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk]:
    with app_on(new_schema(database, "poolproof_steps"), tmp_path_factory.mktemp("steps")) as app:
        seen = []
        for revision in REVISIONS:
            upgrade(app, revision)
            up = revision_of(app)
            downgrade(app, "-1")
            down = revision_of(app)
            upgrade(app, revision)
            seen.append((up, down, revision_of(app)))
        yield Walk(app, seen)


def revision_of(app: Flask) -> str | None:
    with app.extensions["pooling"].work.read() as connection:
        return current_revision(connection)


# FTS5 keeps its index in tables of its own; reflection cannot tell the order of an index's columns.
NOT_COMPARED = ("item_words", "ft_item", "ix_attempt_leaderboard", LEASE_TABLE)


def tables(app: Flask) -> set[str]:
    engine = app.extensions["pooling"].work.engine
    # The lease, under which migrations run, is none of the tables that they make.
    return {
        name for name in inspect(engine).get_table_names() if not name.startswith("item_words") and name != LEASE_TABLE
    }


def test_every_step_goes_down_and_up_by_itself(walk: Walk) -> None:
    assert walk.seen == [(one, before, one) for before, one in pairwise([None, *REVISIONS])]


def test_up_makes_what_the_models_mean(walk: Walk) -> None:
    with walk.app.extensions["pooling"].work.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda thing, name, kind, *rest: not str(name).startswith(NOT_COMPARED),
            },
        )
        assert compare_metadata(context, db.metadata) == []


def test_down_takes_everything_away_and_up_again_works(migrated: Flask) -> None:
    downgrade(migrated, "base")
    assert tables(migrated) == {"alembic_version"}
    upgrade(migrated)
    assert {"user", "item", "quiz", "quiz_item", "quiz_version", "attempt", "answer"} <= tables(migrated)


def test_the_command_goes_down_by_steps_and_up_to_the_newest(migrated: Flask) -> None:
    run = migrated.test_cli_runner().invoke
    before = [None, *REVISIONS][-2]
    for arguments, revision in (["downgrade"], before), (["upgrade"], head_revision()), (["downgrade", "-1"], before):
        result = run(load_command("db"), arguments)
        assert (result.exit_code, result.exception, revision_of(migrated)) == (0, None, revision)


def test_a_quiz_of_the_version_before_goes_on_showing_right_answers_after_finishing(migrated: Flask) -> None:
    work = migrated.extensions["pooling"].work
    quiz = make_quiz(work, closes_at=datetime(2999, 1, 1, tzinfo=UTC))
    assert quiz.answers_shown is AnswersShown.AFTER_CLOSING
    downgrade(migrated, "0014")
    upgrade(migrated)
    with work.read() as connection:
        after = published.by_version(connection, quiz.version_id)
    assert after.answers_shown is AnswersShown.AFTER_FINISHING
    assert (after.title, after.closes_at, after.document) == (quiz.title, quiz.closes_at, quiz.document)


def test_migrating_twice_changes_nothing(migrated: Flask) -> None:
    before = tables(migrated)
    upgrade(migrated)
    assert tables(migrated) == before


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [
        ("0011", "made by an older version of Poolproof; .*poolproof items import items.json"),
        ("9999", "which this version of Poolproof does not know: a newer one has made them"),
    ],
)
def test_tables_of_another_version_are_refused_and_left_alone(migrated: Flask, revision: str, sentence: str) -> None:
    work, before = migrated.extensions["pooling"].work, tables(migrated)
    work.run_in_transaction(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = :old"), {"old": revision})
    )
    with pytest.raises(UnknownRevisionError, match=sentence):
        upgrade(migrated)
    refused = migrated.test_cli_runner().invoke(load_command("db"), ["upgrade"])
    assert isinstance(refused.exception, UnknownRevisionError)
    assert (revision_of(migrated), tables(migrated)) == (revision, before)


def test_a_new_migration_would_leave_the_table_of_the_lease_alone(
    migrated: Flask, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    migrated.test_cli_runner().invoke(load_command("db"), ["check"])
    output = caplog.text + capsys.readouterr().out
    assert "upgrade operations detected" in output
    assert LEASE_TABLE not in output


def test_no_migration_calls_alembic_itself() -> None:
    # Its functions do not ask what is there, so a migration that was killed midway could not be run again.
    for path in (MIGRATIONS_FOLDER / "versions").glob("*.py"):
        modules = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", ""), *(alias.name for alias in node.names)]
        }
        assert not any(str(name).partition(".")[0] in {"alembic", "op"} for name in modules), path.name


def test_a_start_on_tables_of_another_version_says_what_to_do() -> None:
    assert describe_error(UnknownRevisionError("Export the bank.")) == "Export the bank."


def test_the_tables_are_current_when_and_only_when_the_newest_migration_has_run(migrated: Flask) -> None:
    assert revision_of(migrated) == head_revision()
    downgrade(migrated, "-1")
    assert revision_of(migrated) != head_revision()


def test_where_no_migration_has_run_there_is_no_revision(empty: Flask) -> None:
    assert revision_of(empty) is None


def test_the_newest_file_is_what_alembic_takes_for_the_head() -> None:
    script = ScriptDirectory(str(MIGRATIONS_FOLDER))
    assert script.get_current_head() == head_revision()
    assert all(Path(found.path).name.startswith(f"{found.revision}_") for found in script.walk_revisions())
