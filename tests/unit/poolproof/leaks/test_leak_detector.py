"""Five ways to hold a connection wrongly, each named rightly; and what is right is not named."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
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


class Watched:
    """An engine of a test's own on the same database as the app's."""

    def __init__(self, pooling: PoolingState, **values: Any) -> None:
        settings = PoolSettings(size=3, timeout=0.2, **values)
        url = pooling.work.engine.url
        self.engine: Engine = create_engine(url, **engine_options(settings, url, threads=3))
        self.watch: LeakDetector = configure_engine(self.engine, settings)
        self.work = UnitOfWork(self.engine)

    def named(self) -> dict[Violation, int]:
        self.watch.scan()
        return dict(self.watch.counts)


@pytest.fixture
def watched(pooling: PoolingState) -> Iterator[Watched]:
    watched = Watched(pooling, leak_threshold=AFTER)
    yield watched
    assert watched.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert watched.watch.checkouts.live() == []
    watched.engine.dispose()


def in_a_thread(deed: Callable[[], None]) -> None:
    thread = threading.Thread(target=deed, name="a thread that ended")
    thread.start()
    thread.join()


def test_a_connection_that_only_the_garbage_collector_brought_back_is_leaked(watched: Watched) -> None:
    connection = watched.engine.connect()
    connection.execute(ONE)
    del connection
    gc.collect()
    assert watched.named() == {Violation.LEAKED: 1}


def test_a_connection_whose_thread_has_ended_is_orphaned_and_taken_back(watched: Watched, clock: SettableClock) -> None:
    kept: list[Connection] = []
    in_a_thread(lambda: kept.append(watched.engine.connect()))
    kept[0].execute(ONE)
    assert watched.named() == {}
    clock.advance(AFTER)
    assert watched.named() == {Violation.ORPHANED: 1}
    assert watched.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert "a thread that ended" in watched.watch.detected[-1].sentence


def test_a_connection_that_another_thread_still_uses_is_no_orphan(watched: Watched, clock: SettableClock) -> None:
    kept: list[Connection] = []
    in_a_thread(lambda: kept.append(watched.engine.connect()))
    for _ in range(6):
        kept[0].execute(ONE)
        clock.advance(AFTER / 2)
        assert watched.named() == {}
    kept[0].close()


def test_a_connection_on_which_nothing_runs_is_held_idle(watched: Watched, clock: SettableClock) -> None:
    with watched.work.read() as connection:
        connection.execute(ONE)
        clock.advance(AFTER / 2)
        assert watched.named() == {}
        clock.advance(AFTER)
        assert watched.named() == {Violation.IDLE_HELD: 1}
        clock.advance(AFTER)
        assert watched.named() == {Violation.IDLE_HELD: 1}, "each is named once"
    event = watched.watch.detected[-1]
    assert "statements, idle)" in event.sentence
    assert "test_leak_detector.py" in event.site
    assert "test_a_connection_on_which_nothing_runs_is_held_idle" in event.current_stack
    assert "Give the connection back before rendering" in event.sentence


def is_running(hold: Checkout, words: str) -> bool:
    return words in hold.statement and hold.running_seconds(time.monotonic()) is not None


def test_a_statement_that_runs_long_is_named_with_its_text_and_without_its_values(
    watched: Watched, work: UnitOfWork, database: str, clock: SettableClock
) -> None:
    may_end = threading.Event()

    def ask() -> None:
        with watched.work.read() as connection:
            if database == "sqlite":
                taken = not_none(connection.connection.dbapi_connection)
                taken.create_function("get_lock", 2, lambda name, seconds: may_end.wait(30))
            connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": "secret", "seconds": 30.0987654321})

    thread = threading.Thread(target=ask)
    with work.read() as other:
        if database != "sqlite":
            other.execute(text("SELECT GET_LOCK('secret', 0)"))
        thread.start()
        wait_until(lambda: any(is_running(hold, "GET_LOCK") for hold in watched.watch.checkouts.live()))
        assert watched.named() == {}
        clock.advance(AFTER)
        assert watched.named() == {Violation.LONG_STATEMENT: 1}
        may_end.set()
        if database != "sqlite":
            other.execute(text("SELECT RELEASE_ALL_LOCKS()"))
    thread.join()
    sentence = watched.watch.detected[-1].sentence
    assert "GET_LOCK" in sentence
    assert "987654321" not in sentence
    assert "secret" not in sentence


def test_a_second_connection_of_the_same_borrower_is_nested(watched: Watched) -> None:
    with watched.work.read() as outer:
        outer.execute(ONE)
        with Session(watched.engine) as session:
            session.execute(ONE)
    assert watched.named() == {Violation.NESTED: 1}
    assert "Pass that one on" in watched.watch.detected[-1].sentence


def test_nesting_that_was_announced_is_not_named(pooling: PoolingState) -> None:
    watched = Watched(pooling, max_connections_per_request=2)
    with watched.work.read(), watched.work.read():
        assert watched.named() == {}
        with watched.work.read():
            assert watched.named() == {Violation.NESTED: 1}
    watched.engine.dispose()


def test_two_threads_with_a_connection_each_are_not_nested(watched: Watched) -> None:
    with watched.work.read():
        in_a_thread(lambda: watched.engine.connect().close())
    assert watched.named() == {}


def test_ordinary_use_names_nothing(watched: Watched) -> None:
    with watched.work.transaction() as connection:
        connection.execute(ONE)
    with watched.work.read() as connection:
        connection.invalidate()
        connection.execute(ONE)
    with watched.engine.connect() as connection:
        connection.detach()
    gc.collect()
    assert watched.named() == {}


def test_a_fault_is_logged_once_for_each_place_and_counted_each_time(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with watched.work.read(), watched.work.read():
            pass
    with watched.work.read(), watched.work.read():
        pass
    assert watched.named() == {Violation.NESTED: 4}
    said = [record for record in caplog.records if "is nested" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.WARNING] * 2


def test_a_full_pool_says_who_holds_its_connections(watched: Watched) -> None:
    held = [watched.engine.connect() for _ in range(3)]
    held[0].execute(ONE)
    with pytest.raises(PoolTimeoutError) as full:
        watched.engine.connect()
    for connection in held:
        connection.close()
    assert "Held by: MainThread for 0." in str(full.value)
    assert "(2 statements, idle), borrowed at" in str(full.value)
    assert "test_leak_detector.py:" in str(full.value)


def test_a_late_word_about_a_detached_connection_does_not_end_the_next_hold_of_its_place(watched: Watched) -> None:
    former = watched.engine.connect()
    taken = former.connection.dbapi_connection
    former.detach()
    with watched.engine.connect() as connection:
        (hold,) = watched.watch.checkouts.live()
        # SQLAlchemy gives the place back before it tells of the detachment.
        watched.watch.checkouts.record_checkin(taken, connection.connection._connection_record)
        assert watched.watch.checkouts.live() == [hold]
    former.close()
