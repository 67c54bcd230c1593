"""An operator ends a checkout while it ends by itself: whoever has the connection next is not hit, and not named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolproof import event_log
from poolproof.fleet.command_handler import CommandHandler
from poolproof.fleet.commands import CommandError
from poolproof.lanes import Lanes
from poolproof.leaks.checkouts import Checkout
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until
from tests.unit.poolproof.fleet.test_command_handler import close, end_command, open_on

WAIT_FOR_LOCK = text("SELECT GET_LOCK('go', 60)")
ONE = text("SELECT 1")


@pytest.fixture
def url(server_flavour: str, new_schema: Callable[[str, str], str]) -> str:
    return new_schema(server_flavour, "racing")


@pytest.fixture
def lanes(url: str) -> Iterator[Lanes]:
    """Lanes of one connection each, so that the next borrower has the connection of the one before."""
    lanes = open_on(url)
    yield lanes
    close(lanes)


@pytest.fixture
def release(url: str) -> Iterator[Callable[[], None]]:
    """Hold the lock that a holder's statement waits for, until this is called."""
    engine = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(WAIT_FOR_LOCK)
        yield lambda: connection.execute(text("SELECT RELEASE_LOCK('go')")).close()
    engine.dispose()


def live(lanes: Lanes) -> list[Checkout]:
    return lanes.interactive.leak_detector.checkouts.live()


def hold(lanes: Lanes) -> None:
    with UnitOfWork(lanes.interactive.engine).read() as connection:
        connection.execute(WAIT_FOR_LOCK)


def wait_until_the_statement_runs(lanes: Lanes) -> Checkout:
    wait_until(lambda: len(live(lanes)) == 1 and live(lanes)[0].running_seconds(0.0) is not None)
    return live(lanes)[0]


@pytest.mark.parametrize("moment", ["before the console has a connection", "just before KILL", "just after KILL"])
def test_the_next_borrower_of_a_connection_is_not_killed_for_the_one_before(
    lanes: Lanes, release: Callable[[], None], moment: str
) -> None:
    next_runs, may_end = threading.Event(), threading.Event()

    def borrow_next() -> int:
        with UnitOfWork(lanes.interactive.engine).transaction() as connection:
            connection.execute(ONE)
            next_runs.set()
            assert may_end.wait(30)
            return int(connection.execute(ONE).scalar_one())

    def let_it_end(*arguments: Any) -> None:
        if moment == "before the console has a connection" or "KILL" in arguments[2]:
            release()
            assert next_runs.wait(30)

    name = {"before the console has a connection": "checkout", "just before KILL": "before_cursor_execute"}
    # Connected once, so that the event below is that of the kill.
    lanes.console.engine.connect().close()
    event.listen(lanes.console.engine, name.get(moment, "after_cursor_execute"), let_it_end)
    event_log.drain()
    with ThreadPoolExecutor(2) as threads:
        holder = threads.submit(hold, lanes)
        command = end_command_of(wait_until_the_statement_runs(lanes), lanes)
        borrower = threads.submit(borrow_next)
        wait_until(lambda: lanes.interactive.engine.pool.waiting() == 1)  # type: ignore[attr-defined]
        if moment == "before the console has a connection":
            with pytest.raises(CommandError, match="came back by itself"):
                CommandHandler(lanes).execute(command)
        else:
            # The server may have noticed already that the connection is gone.
            with suppress(CommandError):
                CommandHandler(lanes).execute(command)
        (next_checkout,) = live(lanes)
        may_end.set()
        assert borrower.result(timeout=30) == 1
        assert moment == "just after KILL" or holder.exception(timeout=30) is None
        holder.exception(timeout=30)
    assert next_checkout.number != command["checkout"]
    assert not getattr(next_checkout.dbapi_connection, "killed_by_operator", False)


def end_command_of(checkout: Checkout, lanes: Lanes) -> dict[str, Any]:
    command = end_command(lanes)
    assert command["checkout"] == checkout.number
    return command


def test_whoever_has_the_connection_since_the_operator_looked_is_not_ended(lanes: Lanes) -> None:
    with lanes.interactive.engine.connect() as connection:
        connection.execute(ONE)
        command = end_command(lanes)
    with lanes.interactive.engine.connect() as connection:
        connection.execute(ONE)
        assert end_command(lanes)["connection"] == command["connection"]
        with pytest.raises(CommandError, match="is back in its pool already"):
            CommandHandler(lanes).execute(command)
        assert connection.execute(ONE).scalar_one() == 1


def test_an_end_that_could_not_be_done_leaves_everything_as_it_was(lanes: Lanes, release: Callable[[], None]) -> None:
    event_log.drain()
    with ThreadPoolExecutor(1) as threads:
        holder = threads.submit(hold, lanes)
        checkout = wait_until_the_statement_runs(lanes)
        with lanes.console.engine.connect(), pytest.raises(PoolTimeoutError):
            CommandHandler(lanes).execute(end_command_of(checkout, lanes))
        assert not checkout.dbapi_connection.killed_by_operator
        release()
        assert holder.exception(timeout=30) is None
    with lanes.interactive.engine.connect() as connection:
        assert connection.connection.dbapi_connection is checkout.dbapi_connection, "it is lent again"
    assert [one for one in event_log.drain() if one["kind"] == "ended"] == []


def test_a_kill_that_missed_takes_its_mark_back(lanes: Lanes, url: str, release: Callable[[], None]) -> None:
    other = create_engine(make_url(url), isolation_level="AUTOCOMMIT")

    def kill_first(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if "KILL" in statement:
            (number,) = parameters.values() if isinstance(parameters, dict) else parameters
            with other.connect() as another:
                another.execute(text("KILL :number"), {"number": number})
                gone = text("SELECT COUNT(*) FROM information_schema.processlist WHERE id = :number")
                wait_until(lambda: another.execute(gone, {"number": number}).scalar_one() == 0)

    event.listen(lanes.console.engine, "before_cursor_execute", kill_first)
    event_log.drain()
    with ThreadPoolExecutor(1) as threads:
        holder = threads.submit(hold, lanes)
        checkout = wait_until_the_statement_runs(lanes)
        dbapi_connection = checkout.dbapi_connection
        with pytest.raises(CommandError, match="was closed in this moment"):
            CommandHandler(lanes).execute(end_command_of(checkout, lanes))
        assert not dbapi_connection.killed_by_operator
        assert not checkout.is_ending
        release()
        holder.exception(timeout=30)
    other.dispose()
    assert [one for one in event_log.drain() if one["kind"] == "ended"] == []
