"""Five ways to hold a connection wrongly, each named rightly; and what is right is not named."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.errors import PoolTimeoutError
from webapp.pooling.extension import Pooling
from webapp.pooling.settings import PoolSettings
from webapp.pooling.watch import Kind, Watch
from webapp.pooling.work import Work

AFTER = 0.3
ONE = text("SELECT 1")


class Watched:
    """An engine of a test's own on the same database as the app's, with an impatient watch."""

    def __init__(self, pooling: Pooling, **values: object) -> None:
        settings = PoolSettings.model_validate({"size": 3, "timeout": 0.2, **values})
        url = pooling.work.engine.url
        self.engine: Engine = create_engine(url, **engine_options(settings, url, threads=3))
        self.watch: Watch = prepare_engine(self.engine, settings)
        self.work = Work(self.engine)

    def named(self) -> dict[Kind, int]:
        self.watch.look()
        return dict(self.watch.counts)


@pytest.fixture
def watched(pooling: Pooling, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Impatient only where a test is about time: on a busy machine anything may take a while."""
    about_time = request.node.get_closest_marker("about_time") is not None
    watched = Watched(pooling, watch_after=AFTER if about_time else 60)
    yield watched
    assert watched.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert watched.watch.holds.live() == []
    watched.engine.dispose()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def in_a_thread(deed: Callable[[], None]) -> None:
    thread = threading.Thread(target=deed, name="a thread that ended")
    thread.start()
    thread.join()


def test_a_connection_that_only_the_garbage_collector_brought_back_is_leaked(watched: Watched) -> None:
    connection = watched.engine.connect()
    connection.execute(ONE)
    del connection
    gc.collect()
    assert watched.named() == {Kind.LEAKED: 1}


@pytest.mark.about_time
def test_a_connection_whose_thread_has_ended_is_orphaned_and_taken_back(watched: Watched) -> None:
    kept: list[Connection] = []
    in_a_thread(lambda: kept.append(watched.engine.connect()))
    kept[0].execute(ONE)
    wait_until(lambda: watched.named() == {Kind.ORPHANED: 1})
    assert watched.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert "a thread that ended" in watched.watch.events[-1].sentence


@pytest.mark.about_time
def test_a_connection_that_another_thread_still_uses_is_no_orphan(watched: Watched) -> None:
    kept: list[Connection] = []
    in_a_thread(lambda: kept.append(watched.engine.connect()))
    end = time.monotonic() + 3 * AFTER
    while time.monotonic() < end:
        kept[0].execute(ONE)
        assert watched.named() == {}
        time.sleep(0.02)
    kept[0].close()


@pytest.mark.about_time
def test_a_connection_on_which_nothing_runs_is_held_idle(watched: Watched) -> None:
    with watched.work.read() as connection:
        connection.execute(ONE)
        time.sleep(2 * AFTER)
        assert watched.named() == {Kind.IDLE_HELD: 1}
        time.sleep(AFTER)
        assert watched.named() == {Kind.IDLE_HELD: 1}, "each is named once"
    event = watched.watch.events[-1]
    assert "statements, idle)" in event.sentence
    assert "test_watch.py" in event.place
    assert "test_a_connection_on_which_nothing_runs_is_held_idle" in event.now_at
    assert "Give the connection back before rendering" in event.sentence


@pytest.mark.about_time
def test_a_statement_that_runs_long_is_named_with_its_text_and_without_its_values(
    watched: Watched, database: str
) -> None:
    slow = text("SELECT SLEEP(:seconds)")
    if database == "sqlite":
        slow = text(
            "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted "
            "LIMIT CAST(:seconds * 10000000 AS INTEGER)) SELECT COUNT(*) FROM counted"
        )

    def ask() -> None:
        with watched.work.read() as connection:
            connection.execute(slow, {"seconds": 0.987654321})

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: watched.named() == {Kind.LONG_STATEMENT: 1})
    thread.join()
    sentence = watched.watch.events[-1].sentence
    assert ("SLEEP" in sentence) or ("RECURSIVE" in sentence)
    assert "987654321" not in sentence


def test_a_second_connection_of_the_same_borrower_is_nested(watched: Watched) -> None:
    with watched.work.read() as outer:
        outer.execute(ONE)
        with Session(watched.engine) as session:
            session.execute(ONE)
    assert watched.named() == {Kind.NESTED: 1}
    assert "Pass that one on" in watched.watch.events[-1].sentence


def test_nesting_that_was_announced_is_not_named(pooling: Pooling) -> None:
    watched = Watched(pooling, nesting=2)
    with watched.work.read(), watched.work.read():
        assert watched.named() == {}
        with watched.work.read():
            assert watched.named() == {Kind.NESTED: 1}
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
    assert watched.named() == {Kind.NESTED: 4}
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
    assert "test_watch.py:" in str(full.value)


def test_a_late_word_about_a_detached_connection_does_not_end_the_next_hold_of_its_place(watched: Watched) -> None:
    former = watched.engine.connect()
    taken = former.connection.dbapi_connection
    former.detach()
    with watched.engine.connect() as connection:
        (hold,) = watched.watch.holds.live()
        # SQLAlchemy gives the place back before it tells of the detachment.
        watched.watch.holds.end(taken, connection.connection._connection_record)  # type: ignore[attr-defined]
        assert watched.watch.holds.live() == [hold]
    former.close()
