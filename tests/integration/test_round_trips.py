"""How many statements reach the server, counted by the server; and that no transaction outlives its unit of work."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until_returned
from webapp.lab.services.database_server import DatabaseServer

READ = text("SELECT 1")
WRITE = text("INSERT INTO counted VALUES (:number)")


@pytest.fixture
def work(server: DatabaseServer) -> Iterator[UnitOfWork]:
    server.execute("DROP TABLE IF EXISTS counted", database="poolproof")
    server.execute("CREATE TABLE counted (number INT PRIMARY KEY)", database="poolproof")
    settings = PoolSettings(ping_idle_after=60)
    url = server.url("poolproof")
    engine = create_engine(url, **engine_options(settings, make_url(url), threads=2))
    configure_engine(engine, settings)
    with engine.connect() as connection:
        connection.execute(READ)
    yield UnitOfWork(engine)
    engine.dispose()


@pytest.fixture
def statements(server: DatabaseServer) -> Iterator[Callable[[Callable[[], object]], int]]:
    """Count what the server was asked while something was done, our own question left out."""
    # One connection for all questions: the end of another one is counted some time later.
    asking = create_engine(server.url("poolproof"), isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
    with asking.connect() as connection:

        def statement_count() -> int:
            return int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1])

        def count(operation: Callable[[], object]) -> int:
            before = statement_count()
            operation()
            return statement_count() - before - 1

        # What came before this has been counted when the server has nothing more to say.
        while count(lambda: time.sleep(0.05)):
            pass
        yield count
    asking.dispose()


def reading(work: UnitOfWork, times: int) -> None:
    with work.read() as connection:
        for _ in range(times):
            connection.execute(READ)


def writing(work: UnitOfWork, *numbers: int) -> None:
    with work.transaction() as connection:
        for number in numbers:
            connection.execute(WRITE, {"number": number})


def open_transactions(server: DatabaseServer) -> int:
    ((count,),) = server.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")
    return int(count)


def test_a_read_is_one_statement(work: UnitOfWork, statements: Callable[[Callable[[], object]], int]) -> None:
    assert statements(lambda: reading(work, 1)) == 1
    assert statements(lambda: reading(work, 3)) == 3


def test_a_transaction_of_n_writes_is_n_and_two(
    work: UnitOfWork, statements: Callable[[Callable[[], object]], int]
) -> None:
    assert statements(lambda: writing(work, 1)) == 3
    assert statements(lambda: writing(work, 2, 3, 4)) == 5


def test_a_unit_of_work_that_did_nothing_says_nothing(
    work: UnitOfWork, statements: Callable[[Callable[[], object]], int]
) -> None:
    assert statements(lambda: reading(work, 0)) == 0
    assert statements(lambda: writing(work)) == 0


def test_a_transaction_that_fails_is_rolled_back(
    server: DatabaseServer, work: UnitOfWork, statements: Callable[[Callable[[], object]], int]
) -> None:
    writing(work, 1)
    with pytest.raises(DBAPIError):
        writing(work, 2, 1)
    assert server.execute("SELECT number FROM counted", database="poolproof") == [(1,)]
    assert open_transactions(server) == 0


def test_a_session_of_another_extension_is_still_a_transaction(server: DatabaseServer, work: UnitOfWork) -> None:
    with Session(work.engine) as session:
        session.execute(WRITE, {"number": 1})
        session.rollback()
        session.execute(WRITE, {"number": 2})
        session.commit()
        session.execute(WRITE, {"number": 3})
    assert server.execute("SELECT number FROM counted", database="poolproof") == [(2,)]
    assert open_transactions(server) == 0


def test_no_transaction_and_no_lock_outlives_whatever_was_done(server: DatabaseServer, work: UnitOfWork) -> None:
    choose = random.Random(20261121)
    numbers = iter(range(100, 10_000))

    def write_in_savepoint(connection: Connection) -> None:
        with connection.begin_nested():
            connection.execute(WRITE, {"number": next(numbers)})

    operations: list[Callable[[Connection], object]] = [
        lambda connection: connection.execute(READ),
        lambda connection: connection.execute(WRITE, {"number": next(numbers)}),
        lambda connection: connection.execute(text("SELECT * FROM counted FOR UPDATE")),
        lambda connection: connection.exec_driver_sql("START TRANSACTION"),
        lambda connection: connection.execute(WRITE, {"number": 1}),
        write_in_savepoint,
    ]

    def anything(connection: Connection) -> None:
        for _ in range(choose.randrange(4)):
            choose.choice(operations)(connection)

    units: list[Callable[[], AbstractContextManager[Connection]]]
    units = [work.transaction, work.engine.connect, work.engine.begin, work.read]
    writing(work, 1)
    finished = 0
    for _ in range(150):
        unit = choose.choice(units)
        with suppress(Exception), unit() as connection:
            anything(connection)
            if choose.random() < 0.2:
                connection.detach() if choose.random() < 0.1 else connection.invalidate()
            finished += 1
        assert open_transactions(server) == 0
    assert 30 < finished < 150
    # No lock is held: another connection changes every row at once.
    server.execute("SET SESSION innodb_lock_wait_timeout = 1")
    server.execute("UPDATE counted SET number = number + 100000", database="poolproof")
    wait_until_returned(work.engine.pool)
