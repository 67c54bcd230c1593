"""What an application of its own leaves to its server; the service leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from poolproof.drivers.mysql.session_setup import SQL_MODE
from poolproof.engine import configure_engine, engine_options
from poolproof.own_settings import OwnSettings, is_strict, is_utc
from poolproof.settings import PoolSettings


def asked(url: URL, settings: PoolSettings, statement: str) -> list[object]:
    """Execute a statement on an engine of its own level; return its row."""
    engine = create_engine(url, **engine_options(settings, url, threads=1))
    configure_engine(engine, settings)
    with engine.connect() as connection:
        row = list(connection.execute(text(statement)).one())
    engine.dispose()
    return row


def test_the_service_has_no_variable_for_them() -> None:
    assert {"utc", "strict"} & {field.name for field in fields(PoolSettings)} == set()
    assert (is_utc(PoolSettings()), is_strict(PoolSettings())) == (True, True)


def test_a_lane_keeps_what_was_set() -> None:
    assert not is_utc(replace(OwnSettings(utc=False), size=3))


@pytest.mark.parametrize(("utc", "strict"), [(True, True), (False, True), (True, False)])
def test_a_session_on_mysql_is_in_utc_and_strict_unless_told_otherwise(
    server_flavour: str, new_schema: Callable[[str, str], str], *, utc: bool, strict: bool
) -> None:
    url = make_url(new_schema(server_flavour, "own_settings"))
    statement = "SELECT @@session.time_zone, @@global.time_zone, @@session.sql_mode = @@global.sql_mode"
    zone, zone_of_server, is_mode_of_server = asked(url, OwnSettings(utc=utc, strict=strict), statement)
    assert zone == ("+00:00" if utc else zone_of_server)
    assert bool(is_mode_of_server) == (not strict)
    assert "TRADITIONAL" in SQL_MODE


@pytest.mark.parametrize("utc", [True, False])
def test_a_session_on_postgresql_is_in_utc_unless_told_otherwise(postgresql_url: URL, *, utc: bool) -> None:
    statement = "SELECT current_setting('TimeZone'), source FROM pg_settings WHERE name = 'TimeZone'"
    zone, source = asked(postgresql_url, OwnSettings(utc=utc), statement)
    assert (zone == "UTC" and source == "client") == utc
