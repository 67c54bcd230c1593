"""An operator ends a checkout on PostgreSQL: that one, looked at again, and no other session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL, create_engine, text

from poolproof.engine import engine_options
from poolproof.fleet import process_snapshot
from poolproof.fleet.command_handler import TERMINATE_BACKEND, CommandHandler
from poolproof.fleet.commands import CommandError
from poolproof.lanes import Lanes, open_lanes
from poolproof.runtime.files import JsonObject
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.postgresql import new_database
from tests.support.waiting import wait_until
from webapp.lab.services.postgresql_server import PostgresqlServer

RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'"


@pytest.fixture
def lanes(postgresql_url: URL) -> Iterator[Lanes]:
    settings = PoolSettings(size=1, background_size=1, timeout=5)
    lanes = open_lanes(create_engine(postgresql_url, **engine_options(settings, postgresql_url, threads=1)), settings)
    yield lanes
    for lane in lanes:
        assert lane.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        lane.engine.dispose()


def end_command(lanes: Lanes) -> JsonObject:
    (checkout,) = lanes.interactive.leak_detector.checkouts.live()
    return {"action": "end", "connection": process_snapshot.connection_id(checkout), "checkout": checkout.number}


def test_a_long_statement_is_ended_on_the_server_and_not_tried_again(
    lanes: Lanes, postgresql: PostgresqlServer, postgresql_url: URL
) -> None:
    def is_running() -> bool:
        return postgresql.execute(RUNNING, (postgresql_url.username,)) == [(1,)]

    def sleep() -> None:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))

    def wait() -> int:
        with UnitOfWork(lanes.interactive.engine).read() as connection:
            return int(connection.execute(text("SELECT 1")).scalar_one())

    with ThreadPoolExecutor(2) as threads:
        sleeper = threads.submit(sleep)
        wait_until(is_running)
        waiter = threads.submit(wait)
        wait_until(lambda: lanes.interactive.engine.pool.waiting() == 1)  # type: ignore[attr-defined]
        outcome = CommandHandler(lanes).execute(end_command(lanes))
        assert sleeper.exception(timeout=30) is not None
        assert waiter.result(timeout=30) == 1
    assert not is_running()
    assert "test_postgresql_commands.py" in outcome


def test_an_idle_hold_is_ended_and_its_transaction_has_changed_nothing(lanes: Lanes) -> None:
    work, go_on = UnitOfWork(lanes.interactive.engine), threading.Event()
    with work.transaction() as connection:
        connection.execute(text("DROP TABLE IF EXISTS steered"))
        connection.execute(text("CREATE TABLE steered (number INTEGER)"))

    def hold() -> None:
        with work.transaction() as connection:
            connection.execute(text("INSERT INTO steered VALUES (1)"))
            assert go_on.wait(30)
            connection.execute(text("INSERT INTO steered VALUES (2)"))

    with ThreadPoolExecutor(1) as threads:
        holder = threads.submit(hold)
        checkouts = lanes.interactive.leak_detector.checkouts
        wait_until(
            lambda: any(each.statement_count == 2 and not each.is_statement_running() for each in checkouts.live())
        )
        CommandHandler(lanes).execute(end_command(lanes))
        with work.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM steered")).scalar_one() == 0
        go_on.set()
        assert holder.exception(timeout=30) is not None


def test_a_checkout_that_is_over_is_left_alone(lanes: Lanes) -> None:
    with lanes.interactive.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        command = end_command(lanes)
    with pytest.raises(CommandError, match="back in its pool already"):
        CommandHandler(lanes).execute(command)


def test_a_session_of_another_role_is_never_ended(lanes: Lanes, postgresql: PostgresqlServer) -> None:
    other = new_database(postgresql)
    with create_engine(other).connect() as victim, lanes.console.engine.connect() as console:
        number = victim.execute(text("SELECT pg_backend_pid()")).scalar_one()
        assert console.execute(TERMINATE_BACKEND, {"number": number}).scalar_one_or_none() is None
        assert victim.execute(text("SELECT 1")).scalar_one() == 1
        victim.engine.dispose()
        victim.invalidate()
