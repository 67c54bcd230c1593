"""What a PostgreSQL says of its limits and of its sessions, to an ordinary role."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import URL

from poolproof.capacity import server_info
from poolproof.capacity.budget import Finding, FleetSize, Level, run_checks
from poolproof.capacity.server_info import ServerInfo, read_server_info
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.postgresql import engine_on, new_database
from webapp.lab.services.postgresql_server import PostgresqlServer


@pytest.fixture
def url(postgresql: PostgresqlServer) -> URL:
    return new_database(postgresql)


def info_of(url: URL) -> ServerInfo:
    with engine_on(url) as engine, UnitOfWork(engine).read() as connection:
        return read_server_info(connection)


def finding(check: str, info: ServerInfo, size: int = 4) -> Finding:
    findings = run_checks(FleetSize(workers=1, threads=4), PoolSettings(size=size), info)
    return next(each for each in findings if each.check == check)


def test_an_ordinary_role_cannot_have_what_is_reserved_nor_what_others_have(
    url: URL, postgresql: PostgresqlServer
) -> None:
    with closing(postgresql.connect()):
        info = info_of(url)
    assert info.flavour == "postgresql"
    assert info.version.startswith("18.")
    assert (info.max_connections, info.reserved_connections) == (40, 3)
    assert info.foreign_connections >= 1
    assert not info.is_administrator
    assert not info.read_only
    assert "max_connections = 40 − 3 reserved − " in finding("max_connections", info).sentence
    assert finding("max_connections", info).level is Level.OK
    assert finding("max_connections", info, size=30).level is Level.FAIL


def test_the_limits_of_the_role_and_of_the_database_count_as_well(url: URL, postgresql: PostgresqlServer) -> None:
    names = ("the role's connection limit", "the database's connection limit")
    before = run_checks(FleetSize(1, 4), PoolSettings(), info_of(url))
    assert {each.check for each in before}.isdisjoint(names)
    postgresql.execute(f'ALTER ROLE "{url.username}" CONNECTION LIMIT 9')
    postgresql.execute(f'ALTER DATABASE "{url.database}" CONNECTION LIMIT 12')
    info = info_of(url)
    assert [finding(name, info).level for name in names] == [Level.FAIL, Level.FAIL]
    assert "= 9 − 0 of others = 9." in finding(names[0], info).sentence
    assert "= 12 − 0 of others = 12." in finding(names[1], info).sentence
    assert "Set POOL_SIZE" not in finding(names[0], info).sentence


def test_a_superuser_and_a_read_only_server_are_findings(postgresql: PostgresqlServer) -> None:
    url = new_database(postgresql)
    postgresql.execute(f'ALTER ROLE "{url.username}" SUPERUSER')
    postgresql.execute(f'ALTER DATABASE "{url.database}" SET default_transaction_read_only = on')
    info = info_of(url)
    assert finding("privileges", info).level is Level.WARN
    assert finding("read_only", info).level is Level.FAIL


def test_sessions_have_the_ids_of_our_checkouts(url: URL, postgresql: PostgresqlServer) -> None:
    with engine_on(url) as engine, engine.connect() as held, UnitOfWork(engine).read() as connection:
        processes = server_info.read_processlist(connection)
        ours = held.connection.dbapi_connection.thread_id()  # type: ignore[union-attr]
        assert processes[str(ours)]["command"] == "idle"
        assert len(processes) == 2


def test_how_long_a_connection_lives_is_said_with_and_without_a_limit_of_the_server(
    url: URL, postgresql: PostgresqlServer
) -> None:
    assert "after 3600 s at most; the server closes none" in finding("wait_timeout", info_of(url)).sentence
    postgresql.execute(f"ALTER ROLE \"{url.username}\" SET idle_session_timeout = '100s'")
    assert "after 80 s at most; wait_timeout = 100 s" in finding("wait_timeout", info_of(url)).sentence
