"""What a caller changes in a session ends with the checkout: the next one finds it as it was set up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session

from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import configure_engine, engine_options
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork

ISOLATION_LEVELS = ["AUTOCOMMIT", "SERIALIZABLE", "READ UNCOMMITTED"]
COUNT_ROWS = text("SELECT COUNT(*) FROM kept")
INSERT = text("INSERT INTO kept VALUES (1)")

MakeEngine = Callable[..., Engine]


@pytest.fixture
def url(database: str, new_schema: Callable[[str, str], str]) -> str:
    return new_schema(database, "sessions")


@pytest.fixture
def make_engine(url: str) -> Iterator[MakeEngine]:
    """Engines with a pool of one connection: the next checkout has what the one before has left."""
    made: list[Engine] = []

    def make(**options: Any) -> Engine:
        settings, address = PoolSettings(size=1), make_url(url)
        engine = create_engine(address, **engine_options(settings, address, threads=1), **options)
        configure_engine(engine, settings)
        made.append(engine)
        return engine

    engine = make()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (number INTEGER)"))
    yield make
    for each in made:
        each.dispose()


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    return make_engine()


def number_of(connection: Connection) -> int:
    dbapi_connection: Any = connection.connection.dbapi_connection
    return id(dbapi_connection)


def level_of(connection: Connection) -> str:
    """Return the level that the server has for the session, and whether it commits by itself."""
    if connection.dialect.name == "sqlite":
        dbapi_connection: Any = connection.connection.dbapi_connection
        is_dirty = connection.execute(text("PRAGMA read_uncommitted")).scalar_one()
        return f"{'READ UNCOMMITTED' if is_dirty else 'SERIALIZABLE'} {int(dbapi_connection.isolation_level is None)}"
    has_new_name = connection.execute(text("SHOW VARIABLES LIKE 'transaction_isolation'")).first() is not None
    variable = "transaction_isolation" if has_new_name else "tx_isolation"
    row = connection.execute(text(f"SELECT @@{variable}, @@autocommit")).one()
    return f"{row[0].replace('-', ' ')} {row[1]}"


def ours(engine: Engine) -> str:
    return "SERIALIZABLE 1" if engine.dialect.name == "sqlite" else "READ COMMITTED 1"


def rows_for_others(make_engine: MakeEngine) -> int:
    """Count what another connection sees."""
    with make_engine().connect() as connection:
        return int(connection.execute(COUNT_ROWS).scalar_one())


def check_that_the_session_is_ours(engine: Engine, make_engine: MakeEngine) -> None:
    """An autocommit write is there for all; a transaction that is rolled back has done nothing; levels are ours."""
    before = rows_for_others(make_engine)
    with UnitOfWork(engine).autocommit() as connection:
        connection.execute(INSERT)
        assert rows_for_others(make_engine) == before + 1
    with engine.connect() as connection:
        connection.execute(INSERT)
        connection.rollback()
    assert rows_for_others(make_engine) == before + 1
    with UnitOfWork(engine).read() as connection:
        assert level_of(connection) == ours(engine)


@pytest.mark.parametrize("level", ISOLATION_LEVELS)
def test_a_connection_is_returned_with_our_level_after_any_other(
    engine: Engine, make_engine: MakeEngine, level: Any
) -> None:
    for _ in range(2):
        with engine.connect() as connection:
            connection.execution_options(isolation_level=level)
            connection.execute(INSERT)
            connection.commit()
            first = number_of(connection)
        with engine.connect() as connection:
            assert number_of(connection) == first, "and it needs no new connection for that"
        check_that_the_session_is_ours(engine, make_engine)


def test_in_autocommit_a_statement_is_there_for_all_at_once(engine: Engine, make_engine: MakeEngine) -> None:
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda connection, cursor, statement, *rest: sent.append(statement))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(INSERT)
        assert rows_for_others(make_engine) == 1
        connection.rollback()
    assert rows_for_others(make_engine) == 1
    assert sent == [INSERT.text]


def test_a_level_holds_for_all_transactions_of_a_checkout(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("all its transactions are serializable")
    with engine.connect() as connection:
        connection.execution_options(isolation_level="SERIALIZABLE")
        for _ in range(2):
            assert level_of(connection) == "SERIALIZABLE 1"
            connection.rollback()
        connection.execution_options(isolation_level="REPEATABLE READ")
        assert level_of(connection) == "REPEATABLE READ 1"


@pytest.mark.parametrize("level", ISOLATION_LEVELS)
def test_a_level_of_an_engine_that_shares_the_pool_is_its_own(
    engine: Engine, make_engine: MakeEngine, level: Any
) -> None:
    with engine.execution_options(isolation_level=level).connect() as connection:
        connection.execute(INSERT)
        connection.commit()
    check_that_the_session_is_ours(engine, make_engine)


def test_a_level_of_an_orm_session_is_its_own(engine: Engine, make_engine: MakeEngine) -> None:
    with Session(engine) as orm_session:
        orm_session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        orm_session.execute(INSERT)
        orm_session.commit()
    check_that_the_session_is_ours(engine, make_engine)


def test_the_level_of_an_engine_holds_for_all_its_connections(make_engine: MakeEngine) -> None:
    engine = make_engine(isolation_level="SERIALIZABLE")
    for _ in range(2):
        with engine.connect() as connection:
            assert level_of(connection) == "SERIALIZABLE 1"
            connection.execute(INSERT)
            connection.rollback()
            assert connection.execute(COUNT_ROWS).scalar_one() == 0
    with engine.connect() as connection:
        connection.execution_options(isolation_level="READ UNCOMMITTED")
        connection.execute(COUNT_ROWS)
    with engine.connect() as connection:
        assert level_of(connection) == "SERIALIZABLE 1"


def test_an_engine_in_autocommit_sends_no_begin(make_engine: MakeEngine) -> None:
    engine = make_engine(isolation_level="AUTOCOMMIT")
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(INSERT)
            connection.rollback()
    assert rows_for_others(make_engine) == 2


def test_a_unit_of_work_is_a_transaction_also_on_an_engine_in_autocommit(make_engine: MakeEngine) -> None:
    work = UnitOfWork(make_engine(isolation_level="AUTOCOMMIT"))

    def fail(connection: Connection) -> None:
        connection.execute(INSERT)
        raise LookupError

    with pytest.raises(LookupError):
        work.run_in_transaction(fail)
    assert rows_for_others(make_engine) == 0
    work.run_in_transaction(lambda connection: connection.execute(INSERT))
    assert rows_for_others(make_engine) == 1


def test_a_connection_without_the_option_costs_no_statement_more(engine: Engine) -> None:
    with UnitOfWork(engine).read() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        connection.execute(COUNT_ROWS)
    work = UnitOfWork(engine)
    # BEGIN, the statement and COMMIT, which SQLite's driver does not send as a statement.
    for borrow, expected in ((work.autocommit, 1), (work.transaction, 2 if engine.dialect.name == "sqlite" else 3)):
        before = dbapi_connection.statement_count
        with borrow() as connection:
            assert number_of(connection) == id(dbapi_connection)
            connection.execute(COUNT_ROWS)
        assert dbapi_connection.statement_count - before == expected


def skip_on_sqlite(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("it reports no change of a session")


@pytest.mark.parametrize(
    ("statement", "question"),
    [
        ("SET SESSION sql_mode = ''", "SELECT @@sql_mode"),
        ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW VARIABLES LIKE '%%_isolation'"),
        ("SET @mine = 1", "SELECT @mine"),
        ("SET autocommit = 0", "SELECT @@autocommit"),
        ("SET NAMES latin1", "SELECT @@character_set_client"),
        ("CREATE TEMPORARY TABLE mine (number INTEGER)", "SHOW COLUMNS FROM kept LIKE 'no_such'"),
        ("USE information_schema", "SELECT DATABASE()"),
    ],
)
def test_what_a_statement_has_changed_in_a_session_is_not_lent_on(
    engine: Engine, statement: str, question: str
) -> None:
    skip_on_sqlite(engine)
    with UnitOfWork(engine).read() as connection:
        before = connection.exec_driver_sql(question).all()
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    with UnitOfWork(engine).read() as connection:
        assert connection.exec_driver_sql(question).all() == before
    with engine.connect() as connection:
        # A temporary table would hide it, or exist already.
        connection.exec_driver_sql("CREATE TEMPORARY TABLE mine (number INTEGER)")


def test_autocommit_that_was_left_on_the_drivers_connection_is_not_lent_on(
    engine: Engine, make_engine: MakeEngine
) -> None:
    with engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        if engine.dialect.name == "sqlite":
            dbapi_connection.isolation_level = ""
        else:
            dbapi_connection.autocommit(False)
    check_that_the_session_is_ours(engine, make_engine)


def test_a_transaction_that_was_begun_behind_sqlalchemy_is_not_lent_on(engine: Engine, make_engine: MakeEngine) -> None:
    raw = engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("BEGIN")
    cursor.execute(INSERT.text)
    cursor.close()
    raw.close()
    assert rows_for_others(make_engine) == 0
    check_that_the_session_is_ours(engine, make_engine)


@pytest.mark.parametrize("how", ["read", "transaction"])
def test_a_stream_that_was_not_read_to_its_end_is_not_lent_on(engine: Engine, how: str) -> None:
    skip_on_sqlite(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO kept VALUES (1), (2), (3)"))
        for _ in range(12):
            connection.execute(text("INSERT INTO kept SELECT number FROM kept"))

    def leave_a_stream() -> None:
        with getattr(UnitOfWork(engine), how)() as connection:
            rows = connection.execution_options(stream_results=True).execute(text("SELECT * FROM kept"))
            assert rows.fetchone() is not None
            raise LookupError

    with pytest.raises(LookupError):
        leave_a_stream()
    with engine.connect() as connection:
        assert connection.execute(COUNT_ROWS).scalar_one() == 3 * 2**12


def test_what_listeners_have_set_in_every_session_stays(engine: Engine) -> None:
    skip_on_sqlite(engine)

    @event.listens_for(engine, "connect")
    def name_session(dbapi_connection: Any, record: object) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SET @application = 'quiz'")

    seen = set()
    for _ in range(3):
        with UnitOfWork(engine).read() as connection:
            seen.add(connection.execute(text("SELECT @application, CONNECTION_ID()")).one())
    assert len(seen) == 1
    assert seen.pop()[0] == "quiz"


def test_a_level_that_cannot_be_restored_costs_the_connection_and_no_error(
    engine: Engine, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    skip_on_sqlite(engine)
    caplog.set_level(logging.INFO, "poolproof")
    with engine.connect() as connection:
        connection.execution_options(isolation_level="SERIALIZABLE")
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
        connection.commit()
        with make_engine().connect() as other:
            other.execute(text("KILL :number"), {"number": number})
    assert "could not be restored" in caplog.text
    check_that_the_session_is_ours(engine, make_engine)
    assert isinstance(engine.pool, FairQueuePool)
    assert engine.pool.checkedout() == 0


def test_a_statement_that_was_prepared_is_gone_with_its_connection(engine: Engine) -> None:
    skip_on_sqlite(engine)
    numbers = set()
    for _ in range(2):
        with engine.connect() as connection:
            numbers.add(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())
            connection.exec_driver_sql("PREPARE mine FROM 'SELECT 1'")
    assert len(numbers) == 2


def test_a_connection_that_its_borrower_has_closed_is_not_lent_on(engine: Engine) -> None:
    raw = engine.raw_connection()
    dbapi_connection: Any = raw.dbapi_connection
    dbapi_connection.close()
    raw.close()
    with engine.connect() as connection:
        assert connection.execute(COUNT_ROWS).scalar_one() == 0
