"""What is learned of a server at a connect; a pooler between is in tests/integration/test_pgbouncer.py."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import URL, text

from poolproof.drivers.postgresql.session_setup import check_owned_session
from poolproof.errors import PoolConfigurationError
from poolproof.settings import PoolSettings
from tests.support.postgresql import engine_on
from webapp.lab.services.postgresql_server import PostgresqlServer


def test_a_connect_learns_when_the_server_began_and_when_it_closes_idle_sessions(
    postgresql_url: URL, postgresql: PostgresqlServer
) -> None:
    postgresql.execute(f"ALTER ROLE {postgresql_url.username} SET idle_session_timeout = '90s'")
    with engine_on(postgresql_url) as engine, engine.connect() as connection:
        postgresql.execute(f"ALTER ROLE {postgresql_url.username} RESET idle_session_timeout")
        dbapi_connection: Any = connection.connection.dbapi_connection
        assert 0 < dbapi_connection.server_start <= time.time() + 1
        assert dbapi_connection.idle_session_timeout == 90
        assert not dbapi_connection.is_behind_pooler
        assert engine.pool._recycle == 72


def test_without_a_limit_of_the_server_a_connection_is_renewed_after_an_hour(postgresql_url: URL) -> None:
    for recycle, expected in ((None, 3600), (50, 50)):
        with engine_on(postgresql_url, recycle=recycle) as engine, engine.connect():
            assert engine.pool._recycle == expected


def test_a_session_that_is_not_as_promised_is_refused_with_the_statements_that_make_it_so(postgresql_url: URL) -> None:
    settings = PoolSettings(statement_timeout=3)
    with engine_on(postgresql_url, statement_timeout=3) as engine, engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        check_owned_session(dbapi_connection, settings, "app")
        connection.execute(text("SET TIME ZONE 'Asia/Tokyo'"))
        connection.execute(text("SET statement_timeout = 0"))
        with pytest.raises(PoolConfigurationError) as refusal:
            check_owned_session(dbapi_connection, settings, "app")
    assert "ALTER ROLE app SET TimeZone = 'UTC'; ALTER ROLE app SET statement_timeout = '3000';" in str(refusal.value)
