"""A workload's tables are made beside those of an application, and dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, inspect, text

from poolproof.lab.scratch_schema import ScratchSchemaError
from poolproof.lab.workload_schema import open_workload_schema


def test_on_postgresql_tables_are_made_in_a_schema_that_is_dropped(postgresql_url: URL) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    outside = create_engine(url)
    with open_workload_schema(url, makes_tables=True) as own:
        engine = create_engine(own)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (id INT)"))
        engine.dispose()
        (schema,) = (name for name in inspect(outside).get_schema_names() if name.startswith("poolproof_lab_size_"))
        assert inspect(outside).get_table_names(schema) == ["orders"]
        assert inspect(outside).get_table_names("public") == []
    assert schema not in inspect(outside).get_schema_names()
    outside.dispose()


def test_a_role_that_may_make_no_schema_is_told_what_to_ask_for(postgresql_url: URL) -> None:
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text(f"REVOKE CREATE ON DATABASE {postgresql_url.database} FROM {postgresql_url.username}"))
    try:
        with (
            pytest.raises(ScratchSchemaError, match="GRANT CREATE ON DATABASE"),
            open_workload_schema(postgresql_url.render_as_string(hide_password=False), makes_tables=True),
        ):
            pass
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"GRANT CREATE ON DATABASE {postgresql_url.database} TO {postgresql_url.username}"))
        engine.dispose()


def test_on_sqlite_tables_are_made_in_another_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.sqlite"
    with open_workload_schema(url, makes_tables=True) as own:
        assert own != url
    with open_workload_schema(url, makes_tables=False) as own:
        assert own == url


@pytest.mark.parametrize(
    ("url", "makes_tables", "sentence"),
    [("sqlite://", False, "in memory"), ("oracle://somewhere/x", True, "For oracle, create them yourself")],
)
def test_what_cannot_be_measured_is_refused(url: str, makes_tables: bool, sentence: str) -> None:
    with pytest.raises(ScratchSchemaError, match=sentence), open_workload_schema(url, makes_tables=makes_tables):
        pass
