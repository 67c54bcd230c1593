"""What applications rely on in SQLAlchemy's QueuePool holds for ours in the same way."""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from poolproof.adoption.engines import adopt
from poolproof.core.queue_pool import FairQueuePool

URL_VARIABLE = "POOL_CONTRACT_URL"
"""In the environment: another database than a file of SQLite's."""


@pytest.fixture(params=["FairQueuePool", "QueuePool", "adopted"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(
        os.environ.get(URL_VARIABLE, f"sqlite:///{tmp_path / 'contract.sqlite'}"),
        poolclass=FairQueuePool if request.param == "FairQueuePool" else QueuePool,
        pool_size=2,
        max_overflow=1,
        pool_timeout=0.2,
    )
    yield adopt(engine) if request.param == "adopted" else engine
    engine.dispose()


def record_events(engine: Engine) -> list[str]:
    events: list[str] = []
    for name in ("connect", "first_connect", "checkout", "checkin", "reset", "invalidate", "detach", "close"):
        event.listen(engine, name, lambda *_, name=name: events.append(name))
    return events


def test_events_come_in_their_order(engine: Engine) -> None:
    events = record_events(engine)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    assert events == ["first_connect", "connect", "checkout", "reset", "checkin", "checkout", "reset", "checkin"]


def test_the_numbers_say_what_is_out_and_what_is_in(engine: Engine) -> None:
    pool: Any = engine.pool
    held = [engine.connect() for _ in range(3)]
    assert (pool.size(), pool.checkedout(), pool.checkedin(), pool.overflow()) == (2, 3, 0, 1)
    assert "Current Checked out connections: 3" in pool.status()
    for connection in held:
        connection.close()
    assert (pool.checkedout(), pool.checkedin(), pool.overflow()) == (0, 2, 0)


def test_one_too_many_times_out(engine: Engine) -> None:
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(SQLAlchemyTimeoutError, match="QueuePool limit"):
        engine.connect()
    for connection in held:
        connection.close()


def test_an_invalidated_connection_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        before = connection.connection.dbapi_connection
        connection.invalidate()
        assert connection.invalidated
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        assert connection.connection.dbapi_connection is not before
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_soft_invalidated_connection_is_replaced_at_the_next_checkout(engine: Engine) -> None:
    with engine.connect() as connection:
        before = connection.connection.dbapi_connection
        time.sleep(0.02)
        connection.connection.invalidate(soft=True)
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    time.sleep(0.02)
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is not before


def test_a_detached_connection_belongs_to_whoever_took_it(engine: Engine) -> None:
    connection = engine.connect()
    connection.detach()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert connection.execute(text("SELECT 1")).scalar_one() == 1
    connection.close()
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_a_forgotten_connection_comes_back_by_garbage_collection(engine: Engine) -> None:
    connection = engine.connect()
    connection.execute(text("SELECT 1"))
    del connection
    gc.collect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_dispose_closes_what_is_idle_and_a_new_pool_takes_over(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    events, old = record_events(engine), engine.pool
    engine.dispose()
    assert events == ["close"]
    assert engine.pool is not old
    assert type(engine.pool) is type(old)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_pool_that_was_disposed_of_keeps_connections_as_before(engine: Engine) -> None:
    engine.pool.dispose()
    events = record_events(engine)
    for _ in range(10):
        engine.pool.connect().close()
    assert events.count("connect") == 1


def test_what_the_pool_does_is_in_the_log_of_sqlalchemys_pools(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="sqlalchemy.pool"):
        engine.dispose()
    assert [record.message.partition(".")[0] for record in caplog.records] == ["Pool disposed", "Pool recreating"]


def test_a_listener_that_reports_a_disconnect_gets_another_connection(engine: Engine) -> None:
    with engine.connect():
        pass
    refused: list[Any] = []

    def refuse_once(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        if not refused:
            refused.append(dbapi_connection)
            raise DisconnectionError

    event.listen(engine, "checkout", refuse_once)
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is not refused[0]
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_checkout_listener_that_raises_costs_no_slot(engine: Engine) -> None:
    event.listen(engine, "checkout", lambda *_: 1 / 0)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            engine.connect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_connect_listener_that_raises_costs_no_slot(engine: Engine) -> None:
    event.listen(engine, "connect", lambda *_: 1 / 0)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            engine.connect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_pre_ping_and_sessions_work_over_it(engine: Engine) -> None:
    pinged = create_engine(engine.url, poolclass=type(engine.pool), pool_pre_ping=True)
    for _ in range(2):
        with Session(pinged) as session:
            assert session.execute(select(1)).scalar_one() == 1
    pinged.dispose()


class Storm:
    """Threads that do to a pool whatever an application may do, and count what is open."""

    def __init__(self, uses: int) -> None:
        self.alive = self.most = 0
        self.guard = threading.Lock()
        self.failures: list[BaseException] = []
        self.uses = uses
        self.is_over = threading.Event()
        self.pool = FairQueuePool(self.connect, pool_size=4, max_overflow=1, timeout=10)
        event.listen(self.pool, "close", self.closed)

    def connect(self) -> sqlite3.Connection:
        if random.random() < 0.05:
            raise sqlite3.OperationalError("no server")
        with self.guard:
            self.alive += 1
            self.most = max(self.most, self.alive)
        return sqlite3.connect(":memory:", check_same_thread=False)

    def closed(self, *_: object) -> None:
        with self.guard:
            self.alive -= 1

    def misuse(self, seed: int) -> None:
        choose = random.Random(seed)
        try:
            for _ in range(self.uses):
                with suppress(sqlite3.OperationalError):
                    self.use_one(choose)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.failures.append(error)

    def use_one(self, choose: random.Random) -> None:
        connection = self.pool.connect()
        chance = choose.random()
        if chance < 0.05:
            connection.invalidate()
        elif chance < 0.1:
            # Left to the garbage collector, in a cycle so that it comes back at some other moment.
            cycle: list[Any] = [connection]
            cycle.append(cycle)
        else:
            if chance < 0.12:
                self.pool.resize(choose.choice([3, 4]))
            elif chance < 0.3:
                time.sleep(0.0005)
            connection.close()

    def collect(self) -> None:
        # When all threads wait none allocates, and the collector would never run by itself.
        while not self.is_over.wait(0.01):
            gc.collect()


@pytest.mark.parametrize("uses", [100, pytest.param(2000, marks=pytest.mark.soak)])
def test_a_storm_of_everything_loses_no_slot_and_never_exceeds_the_limit(uses: int) -> None:
    storm = Storm(uses)
    threads = [threading.Thread(target=storm.misuse, args=(seed,)) for seed in range(16)]
    collector = threading.Thread(target=storm.collect)
    # What was there before stays out of it: collections of a large process would take all the time.
    gc.freeze()
    for thread in (*threads, collector):
        thread.start()
    for thread in threads:
        thread.join()
    storm.is_over.set()
    collector.join()
    gc.unfreeze()
    gc.collect()
    assert storm.failures == []
    assert storm.most <= 5
    assert (storm.pool.checkedout(), storm.pool.waiting()) == (0, 0)
    storm.pool.dispose()
    assert storm.alive == 0
