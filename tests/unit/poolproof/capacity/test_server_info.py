"""What a server says of itself, and the smallest question to it."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine, event, make_url

from poolproof.capacity import server_info
from poolproof.capacity.server_info import STATUS_VARIABLES, Probe, read_server_info
from poolproof.engine import configure_engine, engine_options
from poolproof.integrations.flask_ext import PoolingState
from poolproof.lanes import CONSOLE_TIMEOUT, console_settings
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork


def test_the_server_says_what_it_is_and_what_it_allows(work: UnitOfWork, database: str) -> None:
    with work.read() as connection:
        info = read_server_info(connection)
    assert info.flavour == database
    if database == "sqlite":
        assert info.max_connections is None
    else:
        assert (info.wait_timeout or 0) > 0
        assert 0 < info.max_used_connections <= (info.max_connections or 0)
        assert not info.read_only


def test_it_is_asked_in_three_statements_at_most(work: UnitOfWork, database: str) -> None:
    statements: list[str] = []
    with work.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        read_server_info(connection)
    assert len([statement for statement in statements if statement != "BEGIN"]) == (1 if database == "sqlite" else 3)


def test_its_counters_are_all_there(work: UnitOfWork, database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no server that counts")
    with work.read() as connection:
        assert set(server_info.read_global_status(connection)) == set(STATUS_VARIABLES)


def test_a_database_that_answers_is_no_trouble(pooling: PoolingState) -> None:
    assert pooling.probe.check() is None


def test_a_server_that_is_not_there_is_told_within_a_second() -> None:
    narrow = console_settings(PoolSettings())
    url = make_url("mysql+pymysql://root@127.0.0.1:1/nothing")
    engine = create_engine(url, **engine_options(narrow, url, threads=1))
    configure_engine(engine, narrow)
    started_at = time.monotonic()
    problem = Probe(engine).check()
    assert time.monotonic() - started_at < CONSOLE_TIMEOUT
    assert problem == "The database does not answer: OperationalError."
