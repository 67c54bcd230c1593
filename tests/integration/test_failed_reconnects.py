"""A read whose connection breaks: the new one is as good as any, and where there is none, nobody gets the old one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers import errors
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.integration.conftest import OPTIONS
from tests.integration.test_connection_age import identities, identity, new_engine
from tests.support.databases import Databases
from tests.support.waiting import wait_until_returned
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.programs import Flavour

ONE = text("SELECT 1")


@pytest.fixture
def engine(server: DatabaseServer) -> Iterator[Engine]:
    engine = new_engine(server.url("poolproof"), size=1, ping_idle_after=60)
    yield engine
    wait_until_returned(engine.pool)
    engine.dispose()


def test_a_read_whose_reconnect_fails_returns_no_closed_connection(server: DatabaseServer, engine: Engine) -> None:
    with UnitOfWork(engine).read() as connection:
        connection.execute(ONE)
        server.kill()
        with pytest.raises(OperationalError) as lost:
            connection.execute(ONE)
        assert lost.value.connection_invalidated
    server.start(*OPTIONS)
    with UnitOfWork(engine).transaction() as connection:
        assert connection.execute(ONE).scalar_one() == 1
    assert isinstance(engine.pool, FairQueuePool)
    assert (engine.pool.checkedin(), engine.pool.checkedout()) == (1, 0)


def test_a_connection_that_a_caller_has_closed_is_not_lent_on(engine: Engine) -> None:
    raw = engine.raw_connection()
    dbapi_connection: Any = raw.dbapi_connection
    dbapi_connection.close()
    raw.close()
    with UnitOfWork(engine).transaction() as connection:
        assert connection.execute(ONE).scalar_one() == 1


def test_a_reconnect_sets_up_the_session_as_every_connect_does(server: DatabaseServer, engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def name_session(dbapi_connection: Any, record: object) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SET @application = 'quiz'")

    query = text("SELECT @application, @@time_zone, CONNECTION_ID()")
    with UnitOfWork(engine).read() as connection:
        before = connection.execute(query).one()
        server.execute(f"KILL {before[2]}")
        after = connection.execute(query).one()
    assert before[:2] == after[:2] == ("quiz", "+00:00")
    assert before[2] != after[2], "it is another one"
    with UnitOfWork(engine).read() as connection:
        assert connection.execute(query).one() == after, "and it is kept"


def test_a_reconnect_has_the_level_of_the_checkout(server: DatabaseServer, engine: Engine) -> None:
    name = "transaction_isolation" if server.flavour == "mysql" else "tx_isolation"
    query = text(f"SELECT @@{name}")
    with UnitOfWork(engine).read() as connection:
        connection.execution_options(isolation_level="SERIALIZABLE")
        server.execute(f"KILL {identity(connection)}")
        assert connection.execute(query).scalar_one() == "SERIALIZABLE"
    with UnitOfWork(engine).read() as connection:
        assert connection.execute(query).scalar_one() == "READ-COMMITTED"


def test_a_reconnect_whose_session_cannot_be_set_up_returns_nothing_half_made(
    server: DatabaseServer, engine: Engine
) -> None:
    refuses = [False]

    @event.listens_for(engine, "connect")
    def refuse(dbapi_connection: Any, record: object) -> None:
        if refuses[0]:
            raise LookupError

    with UnitOfWork(engine).read() as connection:
        server.execute(f"KILL {identity(connection)}")
        refuses[0] = True
        with pytest.raises(LookupError):
            connection.execute(ONE)
        refuses[0] = False
    with UnitOfWork(engine).read() as connection:
        assert connection.execute(text("SELECT @@time_zone")).scalar_one() == "+00:00"


def test_an_option_of_the_server_that_forbids_a_statement_is_no_failover(
    databases: Databases, server_flavour: Flavour, tmp_path: Path
) -> None:
    server = databases.breakable(server_flavour, *OPTIONS, f"--secure-file-priv={tmp_path}")
    engine = new_engine(server.url("poolproof"))
    before = identities(engine)
    with engine.connect() as connection, pytest.raises(DBAPIError) as refusal:
        connection.execute(text("SELECT 1 INTO OUTFILE '/nowhere/at/all'"))
    assert errors.error_number(refusal.value) == 1290
    assert not refusal.value.connection_invalidated
    assert errors.transient_cause(refusal.value) is None
    after = identities(engine)
    engine.dispose()
    assert after == before
