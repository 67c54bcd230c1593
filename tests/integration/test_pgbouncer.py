"""Behind PgBouncer in transaction mode: what works, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers.postgresql import configuration
from poolproof.engine import engine_options
from poolproof.errors import PoolConfigurationError
from poolproof.fleet import process_snapshot
from poolproof.fleet.command_handler import CommandHandler
from poolproof.lanes import open_lanes
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.postgresql import engine_on
from tests.support.waiting import wait_until
from webapp.lab.services.pgbouncer import PgBouncer, start_pgbouncer
from webapp.lab.services.postgresql_server import PostgresqlServer

ROLE, CONFIGURED_ROLE = "bounced", "prepared_role"
IGNORE = {"ignore_startup_parameters": "extra_float_digits, options", "default_pool_size": "4"}
PID = text("SELECT pg_backend_pid()")


@pytest.fixture(scope="module", params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.soak)])
def driver(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def bouncers(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PgBouncer]]:
    """Three: one as it comes, one that drops what it does not know, and one whose role is set up."""
    for role in (ROLE, CONFIGURED_ROLE):
        postgresql.create_database(role, owner=role)
    settings = PoolSettings()
    for name, value in (
        ("TimeZone", "'UTC'"),
        ("statement_timeout", f"{settings.statement_timeout * 1000:.0f}"),
        ("lock_timeout", f"{settings.lock_wait_timeout * 1000:.0f}"),
        ("idle_in_transaction_session_timeout", f"{settings.request_deadline * 1000:.0f}"),
    ):
        postgresql.execute(f"ALTER ROLE {CONFIGURED_ROLE} SET {name} = {value}")
    folder = tmp_path_factory.mktemp("pgbouncer")
    started = {
        "plain": start_pgbouncer(postgresql, folder / "plain", ROLE, {"default_pool_size": "4"}),
        "ignoring": start_pgbouncer(postgresql, folder / "ignoring", ROLE, IGNORE),
        "prepared": start_pgbouncer(postgresql, folder / "prepared", CONFIGURED_ROLE, IGNORE),
    }
    yield started
    for bouncer in started.values():
        bouncer.stop()


@pytest.fixture
def prepared(bouncers: dict[str, PgBouncer], driver: str) -> URL:
    return make_url(bouncers["prepared"].url(CONFIGURED_ROLE, CONFIGURED_ROLE, driver))


def test_reads_writes_and_rollbacks_work_and_more_threads_than_sessions_are_served(prepared: URL) -> None:
    with engine_on(prepared, size=8) as engine:
        work = UnitOfWork(engine)
        with work.transaction() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS note (number INTEGER)"))
            connection.execute(text("TRUNCATE note"))
        for number in range(20):
            with work.transaction() as connection:
                # The same statement often enough for psycopg to prepare it, were it not told otherwise.
                connection.execute(text("INSERT INTO note VALUES (:number)"), {"number": number})
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO note VALUES (100)"))
        with work.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM note")).scalar_one() == 20


def test_a_pooler_is_recognised_and_no_statement_is_prepared_through_it(prepared: URL) -> None:
    with engine_on(prepared) as engine, engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        assert dbapi_connection.is_behind_pooler
        assert connection.execute(PID).scalar_one() != dbapi_connection.thread_id()
        for _ in range(10):
            connection.execute(text("SELECT :number"), {"number": 1})
        assert connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0


def test_a_session_that_cannot_be_owned_is_refused_with_what_to_do(bouncers: dict[str, PgBouncer], driver: str) -> None:
    url = make_url(bouncers["ignoring"].url(ROLE, ROLE, driver))
    with engine_on(url) as engine, pytest.raises(PoolConfigurationError) as refusal:
        engine.connect()
    assert f"ALTER ROLE {ROLE} SET statement_timeout = '10000';" in str(refusal.value)


def test_pgbouncer_itself_refuses_parameters_that_it_does_not_know(bouncers: dict[str, PgBouncer], driver: str) -> None:
    url = make_url(bouncers["plain"].url(ROLE, ROLE, driver))
    with engine_on(url) as engine, pytest.raises(DBAPIError, match="unsupported startup parameter"):
        engine.connect()


def test_adoption_needs_nothing_of_it(bouncers: dict[str, PgBouncer], driver: str) -> None:
    engine = create_engine(bouncers["plain"].url(ROLE, ROLE, driver), poolclass=FairQueuePool, pool_size=2)
    configuration.configure(engine, PoolSettings(), owns_session=False)
    for _ in range(3):
        with engine.begin() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    with engine.connect() as connection:
        dbapi_connection: Any = connection.connection.dbapi_connection
        assert dbapi_connection.responds_within(5, 5)
        assert dbapi_connection.transaction_status() == 0
    engine.dispose()


def test_a_read_goes_on_when_the_session_behind_it_is_ended(prepared: URL, postgresql: PostgresqlServer) -> None:
    with engine_on(prepared) as engine, UnitOfWork(engine).read() as connection:
        pid = connection.execute(PID).scalar_one()
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        assert connection.execute(PID).scalar_one() != pid


def test_an_operator_ends_a_checkout_without_naming_a_process_of_the_server(
    prepared: URL, postgresql: PostgresqlServer
) -> None:
    settings = PoolSettings(size=1, background_size=1)
    lanes = open_lanes(create_engine(prepared, **engine_options(settings, prepared, threads=1)), settings)

    def sleep() -> None:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            connection.execute(text("SELECT pg_sleep(30)"))

    with ThreadPoolExecutor(1) as threads:
        sleeper = threads.submit(sleep)
        checkouts = lanes.interactive.leak_detector.checkouts
        wait_until(lambda: any(checkout.running_seconds(0) is not None for checkout in checkouts.live()))
        (checkout,) = checkouts.live()
        command = {
            "action": "end", "connection": process_snapshot.connection_id(checkout), "checkout": checkout.number,
        }  # fmt: skip
        assert CommandHandler(lanes).execute(command).startswith("Ended connection ")
        assert sleeper.exception(timeout=15) is not None, "and it is not tried again"
    for lane in lanes:
        assert lane.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        lane.engine.dispose()
