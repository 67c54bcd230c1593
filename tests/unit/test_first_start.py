"""What a start does in a database that is not ready, beside migrations."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.support.migration_starts import NewSchema, described
from webapp.database_setup import is_set_up
from webapp.first_start import set_up
from webapp.lab.factories import make_settings


def test_an_installation_whose_users_were_removed_gets_an_author_and_keeps_its_bank(
    database: str, prepared_schema: NewSchema, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(prepared_schema(database, "poolproof_users"), tmp_path)
    before = described(settings.database_url)
    engine = create_engine(settings.database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM user"))
    assert not is_set_up(settings)
    set_up(settings)
    assert is_set_up(settings)
    assert "name      author" in capsys.readouterr().out
    after = described(settings.database_url)
    assert (after["user"][1], after["item"], after["quiz"]) == ([("author", "author")], before["item"], before["quiz"])


def test_a_start_on_a_database_that_is_ready_changes_nothing(
    database: str, prepared_schema: NewSchema, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(prepared_schema(database, "poolproof_ready"), tmp_path)
    before = described(settings.database_url)
    set_up(settings)
    assert described(settings.database_url) == before
    assert "Welcome" not in capsys.readouterr().out
