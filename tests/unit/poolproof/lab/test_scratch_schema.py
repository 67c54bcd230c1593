"""The lab makes schemas of its own on a real server, and touches no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, make_url, text

from poolproof.lab import scratch_schema
from poolproof.lab.scratch_schema import ScratchSchemaError, create_scratch_schema
from tests.support.narrowing import not_none
from webapp.lab.services.programs import Flavour


@pytest.fixture
def url(server_flavour: Flavour, new_schema: Callable[[str, str], str]) -> str:
    return new_schema(server_flavour, "poolproof_beside_the_lab")


def test_a_schema_is_there_during_the_block_and_gone_after_it(url: str) -> None:
    with create_scratch_schema(url, "test") as own:
        schema = not_none(make_url(own).database)
        assert schema.startswith("poolproof_lab_test_")
        assert schema in all_schemas(url)
    assert schema not in all_schemas(url)


def test_a_schema_is_dropped_when_the_block_fails(url: str) -> None:
    with pytest.raises(ZeroDivisionError), create_scratch_schema(url, "test") as own:
        raise ZeroDivisionError
    assert make_url(own).database not in all_schemas(url)


def test_a_schema_without_the_mark_is_never_dropped(url: str) -> None:
    with create_scratch_schema(url, "test") as own:
        schema = not_none(make_url(own).database)
        run(url, f"ALTER TABLE {schema}.lab_mark RENAME {schema}.unmarked")
        with pytest.raises(ScratchSchemaError, match="not the lab's"):
            scratch_schema.drop_schema(url, schema)
        assert schema in all_schemas(url)
        run(url, f"ALTER TABLE {schema}.unmarked RENAME {schema}.lab_mark")


def test_a_schema_with_the_mark_and_another_name_is_never_dropped(url: str) -> None:
    run(url, "CREATE TABLE lab_mark (x INT)")
    with pytest.raises(ScratchSchemaError, match="not the lab's"):
        scratch_schema.drop_schema(url, "poolproof_beside_the_lab")
    assert "poolproof_beside_the_lab" in all_schemas(url)


def test_an_account_that_may_not_make_schemas_is_told_what_to_ask_for(url: str) -> None:
    run(url, "DROP USER IF EXISTS small")
    run(url, "CREATE USER small IDENTIFIED BY 'a password'")
    run(url, "GRANT ALL ON poolproof_beside_the_lab.* TO small")
    small = make_url(url).set(username="small", password="a password").render_as_string(hide_password=False)
    with (
        pytest.raises(ScratchSchemaError, match=r"GRANT ALL ON `poolproof\\_lab\\_%`"),
        create_scratch_schema(small, "test"),
    ):
        pass
    run(url, "DROP USER small")


def test_sqlite_has_no_connections_to_run_out_of() -> None:
    with pytest.raises(ScratchSchemaError, match="MySQL or MariaDB"), create_scratch_schema("sqlite:///a", "test"):
        pass


def run(url: str, statement: str) -> list[str]:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        rows = [str(row[0]) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def all_schemas(url: str) -> list[str]:
    return run(url, "SHOW DATABASES")
