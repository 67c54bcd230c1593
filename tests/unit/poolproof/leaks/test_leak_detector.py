"""Five ways to hold a connection wrongly, each named rightly; and what is right is not named."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

from poolproof.engine import configure_engine, engine_options
from poolproof.errors import PoolTimeoutError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.leaks.checkouts import Checkout
from poolproof.leaks.leak_detector import LeakDetector, Violation
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.support.narrowing import not_none
from tests.support.waiting import wait_until

AFTER = 60.0
"""Seconds on the clock of the test: on a busy machine anything may take a while."""
ONE = text("SELECT 1")


class Monitored:
    """An engine of a test's own on the same database as the app's."""

    def __init__(self, pooling: PoolingState, **values: Any) -> None:
        settings = PoolSettings(size=3, timeout=0.2, **values)
        url = pooling.work.engine.url
        self.engine: Engine = create_engine(url, **engine_options(settings, url, threads=3))
        self.detector: LeakDetector = configure_engine(self.engine, settings)
        self.work = UnitOfWork(self.engine)

    def violations(self) -> dict[Violation, int]:
        self.detector.scan()
        return dict(self.detector.counts)


@pytest.fixture
def monitored(pooling: PoolingState) -> Iterator[Monitored]:
    monitored = Monitored(pooling, leak_threshold=AFTER)
    yield monitored
    assert monitored.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert monitored.detector.checkouts.live() == []
    monitored.engine.dispose()


def in_a_thread(operation: Callable[[], None]) -> None:
    thread = threading.Thread(target=operation, name="a thread that ended")
    thread.start()
    thread.join()


def test_a_connection_that_only_the_garbage_collector_brought_back_is_leaked(monitored: Monitored) -> None:
    connection = monitored.engine.connect()
    connection.execute(ONE)
    del connection
    gc.collect()
    assert monitored.violations() == {Violation.LEAKED: 1}


def test_a_connection_whose_thread_has_ended_is_orphaned_and_taken_back(
    monitored: Monitored, clock: SettableClock
) -> None:
    connections: list[Connection] = []
    in_a_thread(lambda: connections.append(monitored.engine.connect()))
    connections[0].execute(ONE)
    assert monitored.violations() == {}
    clock.advance(AFTER)
    assert monitored.violations() == {Violation.ORPHANED: 1}
    assert monitored.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert "a thread that ended" in monitored.detector.detected[-1].sentence


def test_a_connection_that_another_thread_still_uses_is_no_orphan(monitored: Monitored, clock: SettableClock) -> None:
    connections: list[Connection] = []
    in_a_thread(lambda: connections.append(monitored.engine.connect()))
    for _ in range(6):
        connections[0].execute(ONE)
        clock.advance(AFTER / 2)
        assert monitored.violations() == {}
    connections[0].close()


def test_a_connection_on_which_nothing_runs_is_held_idle(monitored: Monitored, clock: SettableClock) -> None:
    with monitored.work.read() as connection:
        connection.execute(ONE)
        clock.advance(AFTER / 2)
        assert monitored.violations() == {}
        clock.advance(AFTER)
        assert monitored.violations() == {Violation.IDLE_HELD: 1}
        clock.advance(AFTER)
        assert monitored.violations() == {Violation.IDLE_HELD: 1}, "each is named once"
    event = monitored.detector.detected[-1]
    assert "statements, idle)" in event.sentence
    assert "test_leak_detector.py" in event.site
    assert "test_a_connection_on_which_nothing_runs_is_held_idle" in event.current_stack
    assert "Give the connection back before rendering" in event.sentence


def is_running(checkout: Checkout, text_part: str) -> bool:
    return text_part in checkout.statement and checkout.running_seconds(time.monotonic()) is not None


def test_a_statement_that_runs_long_is_named_with_its_text_and_without_its_values(
    monitored: Monitored, work: UnitOfWork, database: str, clock: SettableClock
) -> None:
    may_end = threading.Event()

    def ask() -> None:
        with monitored.work.read() as connection:
            if database == "sqlite":
                dbapi_connection = not_none(connection.connection.dbapi_connection)
                dbapi_connection.create_function("get_lock", 2, lambda name, seconds: may_end.wait(30))
            connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": "secret", "seconds": 30.0987654321})

    thread = threading.Thread(target=ask)
    with work.read() as other:
        if database != "sqlite":
            other.execute(text("SELECT GET_LOCK('secret', 0)"))
        thread.start()
        wait_until(lambda: any(is_running(checkout, "GET_LOCK") for checkout in monitored.detector.checkouts.live()))
        assert monitored.violations() == {}
        clock.advance(AFTER)
        assert monitored.violations() == {Violation.LONG_STATEMENT: 1}
        may_end.set()
        if database != "sqlite":
            other.execute(text("SELECT RELEASE_ALL_LOCKS()"))
    thread.join()
    sentence = monitored.detector.detected[-1].sentence
    assert "GET_LOCK" in sentence
    assert "987654321" not in sentence
    assert "secret" not in sentence


def test_a_second_connection_of_the_same_borrower_is_nested(monitored: Monitored) -> None:
    with monitored.work.read() as outer:
        outer.execute(ONE)
        with Session(monitored.engine) as session:
            session.execute(ONE)
    assert monitored.violations() == {Violation.NESTED: 1}
    assert "Pass that one on" in monitored.detector.detected[-1].sentence


def test_nesting_that_was_announced_is_not_named(pooling: PoolingState) -> None:
    monitored = Monitored(pooling, max_connections_per_request=2)
    with monitored.work.read(), monitored.work.read():
        assert monitored.violations() == {}
        with monitored.work.read():
            assert monitored.violations() == {Violation.NESTED: 1}
    monitored.engine.dispose()


def test_two_threads_with_a_connection_each_are_not_nested(monitored: Monitored) -> None:
    with monitored.work.read():
        in_a_thread(lambda: monitored.engine.connect().close())
    assert monitored.violations() == {}


def test_ordinary_use_names_nothing(monitored: Monitored) -> None:
    with monitored.work.transaction() as connection:
        connection.execute(ONE)
    with monitored.work.read() as connection:
        connection.invalidate()
        connection.execute(ONE)
    with monitored.engine.connect() as connection:
        connection.detach()
    gc.collect()
    assert monitored.violations() == {}


def test_a_fault_is_logged_once_for_each_place_and_counted_each_time(
    monitored: Monitored, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with monitored.work.read(), monitored.work.read():
            pass
    with monitored.work.read(), monitored.work.read():
        pass
    assert monitored.violations() == {Violation.NESTED: 4}
    warnings = [record for record in caplog.records if "is nested" in record.getMessage()]
    assert [record.levelno for record in warnings] == [logging.WARNING] * 2


def test_a_full_pool_says_who_holds_its_connections(monitored: Monitored) -> None:
    connections = [monitored.engine.connect() for _ in range(3)]
    connections[0].execute(ONE)
    with pytest.raises(PoolTimeoutError) as full:
        monitored.engine.connect()
    for connection in connections:
        connection.close()
    assert "Held by: MainThread for 0." in str(full.value)
    assert "(2 statements, idle), borrowed at" in str(full.value)
    assert "test_leak_detector.py:" in str(full.value)


def test_a_late_word_about_a_detached_connection_does_not_end_the_next_hold_of_its_place(monitored: Monitored) -> None:
    former = monitored.engine.connect()
    dbapi_connection = former.connection.dbapi_connection
    former.detach()
    with monitored.engine.connect() as connection:
        (checkout,) = monitored.detector.checkouts.live()
        # SQLAlchemy returns the record to the pool before it reports the detachment.
        monitored.detector.checkouts.record_checkin(dbapi_connection, connection.connection._connection_record)
        assert monitored.detector.checkouts.live() == [checkout]
    former.close()


def test_what_two_threads_find_at_once_is_reported_once(monitored: Monitored) -> None:
    both = threading.Barrier(2)

    class Meeting(frozenset[str]):
        """Both threads look before one of them writes, where nothing keeps them from it."""

        def __contains__(self, violation: object) -> bool:
            is_in = super().__contains__(violation)
            with suppress(threading.BrokenBarrierError):
                both.wait(1)
            return is_in

    with monitored.engine.connect():
        (checkout,) = monitored.detector.checkouts.live()
        checkout.violations = Meeting()
        with ThreadPoolExecutor(2) as threads:
            for _ in range(2):
                threads.submit(monitored.detector.report, checkout, Violation.IDLE_HELD)
    assert monitored.detector.counts == {Violation.IDLE_HELD: 1}
    assert len(monitored.detector.detected) == 1
