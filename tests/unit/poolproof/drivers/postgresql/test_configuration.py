"""An engine on PostgreSQL: round trips, transactions, reads that go on, and what a caller may change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers import errors
from poolproof.drivers.errors import TransientCause
from poolproof.drivers.postgresql import configuration
from poolproof.errors import PoolUsageError
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.postgresql import engine_on
from webapp.lab.services.postgresql_server import PostgresqlServer

PID = text("SELECT pg_backend_pid()")
COUNT_NOTES = text("SELECT count(*) FROM note")
WRITE = text("INSERT INTO note VALUES (:number)")


@pytest.fixture
def engine(postgresql_url: URL) -> Iterator[Engine]:
    with engine_on(postgresql_url, lock_wait_timeout=1) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS note (number INTEGER PRIMARY KEY)"))
            connection.execute(text("TRUNCATE note"))
        yield engine


@pytest.fixture
def work(engine: Engine) -> UnitOfWork:
    return UnitOfWork(engine)


def tracked(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def statements_of(engine: Engine, use: Any) -> int:
    """Count what is sent between a checkout and the return."""
    with engine.connect() as connection:
        dbapi_connection = tracked(connection)
    before = dbapi_connection.statement_count
    use()
    count: int = dbapi_connection.statement_count - before
    return count


def test_a_read_is_one_round_trip_and_a_transaction_of_n_writes_n_and_two(engine: Engine, work: UnitOfWork) -> None:
    def read() -> None:
        with work.read() as connection:
            connection.execute(COUNT_NOTES)

    def write() -> None:
        with work.transaction() as connection:
            connection.execute(WRITE, {"number": 1})
            connection.execute(WRITE, {"number": 2})

    def nothing() -> None:
        with work.transaction():
            pass

    assert [statements_of(engine, use) for use in (read, write, nothing)] == [1, 4, 0]


def test_a_rollback_rolls_back_and_the_connection_stays(engine: Engine, work: UnitOfWork) -> None:
    pids = set()
    with suppress(ZeroDivisionError), work.transaction() as connection:
        pids.add(connection.execute(PID).scalar_one())
        connection.execute(WRITE, {"number": 1})
        raise ZeroDivisionError
    with Session(engine) as session:
        pids.add(session.scalar(PID))
        session.execute(WRITE, {"number": 2})
    with work.read() as connection:
        pids.add(connection.execute(PID).scalar_one())
        assert connection.execute(COUNT_NOTES).scalar_one() == 0
    assert len(pids) == 1


def test_a_read_goes_on_when_its_connection_is_ended_and_no_slot_is_lost(
    engine: Engine, work: UnitOfWork, postgresql: PostgresqlServer
) -> None:
    with work.read() as connection:
        before = connection.execute(PID).scalar_one()
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
        assert connection.execute(PID).scalar_one() != before
        assert connection.execute(select(text("1"))).scalar_one() == 1
    pool: Any = engine.pool
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)


def test_a_write_whose_connection_is_ended_is_lost_and_is_repeated_where_it_may_be(
    work: UnitOfWork, postgresql: PostgresqlServer
) -> None:
    ended: list[int] = []

    def write(connection: Connection) -> None:
        connection.execute(WRITE, {"number": 1})
        if not ended:
            ended.append(tracked(connection).thread_id())
            postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (ended[0],))
        connection.execute(WRITE, {"number": 2})

    with pytest.raises(DBAPIError) as lost:
        work.run_in_transaction(write)
    assert errors.transient_cause(lost.value) is TransientCause.CONNECTION_LOST
    ended.clear()
    work.run_in_transaction(write, idempotent=True)
    with work.read() as connection:
        assert connection.execute(COUNT_NOTES).scalar_one() == 2


def test_what_two_transactions_want_at_once_ends_soon_and_as_contention(work: UnitOfWork) -> None:
    with work.transaction() as first:
        first.execute(WRITE, {"number": 1})
        with pytest.raises(DBAPIError) as refusal, work.transaction() as second:
            second.execute(WRITE, {"number": 1})
        first.rollback()
    assert errors.is_lock_wait_timeout(refusal.value)


def test_a_statement_ends_on_the_server_after_its_time(postgresql_url: URL) -> None:
    with engine_on(postgresql_url, statement_timeout=0.2) as engine:
        started_at = time.monotonic()
        with pytest.raises(DBAPIError) as refusal, UnitOfWork(engine).read() as connection:
            connection.execute(text("SELECT pg_sleep(30)"))
        assert time.monotonic() - started_at < 15
    assert errors.transient_cause(refusal.value) is None


def test_a_write_in_a_read_is_refused_and_a_read_can_stream(work: UnitOfWork) -> None:
    with pytest.raises(PoolUsageError), work.read() as connection:
        connection.execute(WRITE, {"number": 1})
    with work.read() as connection:
        rows = connection.execution_options(stream_results=True, max_row_buffer=10).execute(
            text("SELECT * FROM generate_series(1, 1000)")
        )
        assert sum(rows.scalars()) == 500500


def test_a_level_holds_for_its_checkout_and_costs_no_round_trip(engine: Engine) -> None:
    levels = []
    for level in ("SERIALIZABLE", None, "REPEATABLE READ", "AUTOCOMMIT"):
        with engine.connect() as connection:
            if level:
                connection = connection.execution_options(isolation_level=level)  # noqa: PLW2901
            levels.append(connection.execute(text("SHOW transaction_isolation")).scalar_one())
            pid, count = connection.execute(PID).scalar_one(), tracked(connection).statement_count
    assert levels == ["serializable", "read committed", "repeatable read", "read committed"]
    assert pid > 0
    # CREATE TABLE took a connection of its own; three transactions of BEGIN, two statements and an end, and two.
    assert count == 3 * 4 + 2


def test_a_transaction_may_be_read_only_by_its_callers_will(engine: Engine) -> None:
    read_only = engine.execution_options(postgresql_readonly=True)
    with pytest.raises(DBAPIError) as refusal, read_only.connect() as connection:
        connection.execute(WRITE, {"number": 1})
    assert errors.may_be_read_only(refusal.value)
    assert not refusal.value.connection_invalidated, "the server takes writes, and its connections are kept"
    with engine.begin() as connection:
        connection.execute(WRITE, {"number": 1})


def test_an_application_in_adoption_keeps_its_session_its_transactions_and_its_timeouts(postgresql_url: URL) -> None:
    stock = create_engine(postgresql_url)
    adopted = create_engine(postgresql_url, poolclass=FairQueuePool, pool_size=1)
    configuration.configure(adopted, PoolSettings(read_timeout=20), owns_session=False)
    everything = text("SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'transaction%' ORDER BY name")
    states = []
    for engine in (stock, adopted):
        event.listen(engine, "begin", lambda connection: states.append(tracked(connection).autocommit))
        with engine.connect() as connection:
            states.append([tuple(row) for row in connection.execute(everything)])
            connection.execute(text("CREATE TABLE kept (a int)"))
            connection.rollback()
            states.append(connection.execute(text("SELECT to_regclass('kept')")).scalar_one())
            connection.rollback()
            assert tracked(connection).info.transaction_status == 0
        engine.dispose()
    half = len(states) // 2
    assert states[:half] == states[half:]
    assert half > 3


def test_threads_get_their_connections_in_turn_and_each_is_what_it_was(engine: Engine, work: UnitOfWork) -> None:
    def use(number: int) -> int:
        with work.transaction() as connection:
            connection.execute(WRITE, {"number": number})
            return int(connection.execute(PID).scalar_one())

    with ThreadPoolExecutor(8) as threads:
        pids = set(threads.map(use, range(64)))
    assert len(pids) <= 3
    with work.read() as connection:
        assert connection.execute(COUNT_NOTES).scalar_one() == 64
