from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import BUCKET_OFFSET, Histogram, PoolStatistics, RequestStatistics, bucket_index
from poolproof.errors import PoolQueueFullError
from tests.support.clock import SettableClock
from tests.support.waiting import wait_until


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


def new_pool(size: int = 1, creator: Callable[[], sqlite3.Connection] = connect, **kw: Any) -> FairQueuePool:
    return FairQueuePool(creator, **{"pool_size": size, "statistics": PoolStatistics(), **kw})


def counted(pool: FairQueuePool) -> PoolStatistics:
    assert pool.statistics is not None
    return pool.statistics


@given(st.floats(min_value=1e-8, max_value=1e6))
def test_a_duration_lies_within_the_edges_of_its_bucket(seconds: float) -> None:
    upper = 2.0 ** (bucket_index(seconds) - BUCKET_OFFSET)
    assert upper / 2 <= seconds + 1e-9 < upper


def test_a_quantile_is_the_upper_edge_of_its_bucket() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.99) == 0
    for seconds in (0.003, 0.003, 0.003, 3.0):
        histogram.record(seconds)
    assert histogram.quantile(0.5) == 2**-8
    assert histogram.quantile(0.99) == 4
    assert histogram.count == 4
    assert histogram.total == pytest.approx(3.009)


def test_each_use_of_a_connection_is_counted_and_timed(clock: SettableClock) -> None:
    pool = new_pool()
    clock.stop()
    for _ in range(3):
        with pool.connect():
            clock.advance(0.01)
    snapshot = counted(pool).snapshot()
    assert (snapshot.checkouts, snapshot.use_time.count, snapshot.wait_time.count, snapshot.create_time.count) == (
        3,
        3,
        3,
        1,
    )
    assert snapshot.use_time.total == pytest.approx(0.03)
    assert snapshot.wait_time.total == 0, "none had to wait"
    pool.dispose()


def test_waits_are_timed_and_those_who_get_nothing_are_counted_by_reason(clock: SettableClock) -> None:
    pool = new_pool(timeout=0.1, max_waiting=1)
    held = pool.connect()
    with pytest.raises(SQLAlchemyTimeoutError):
        pool.connect()
    pool._timeout = 60
    with ThreadPoolExecutor(1) as workers:
        served = workers.submit(lambda: pool.connect().close())
        wait_until(lambda: pool.waiting() == 1)
        with pytest.raises(PoolQueueFullError):
            pool.connect()
        clock.advance(0.02)
        held.close()
        served.result()
    snapshot = counted(pool).snapshot()
    assert (snapshot.timeouts, snapshot.refused, snapshot.shed) == (1, 1, 0)
    assert snapshot.wait_time.count == 2
    assert snapshot.wait_time.quantile(1) >= 0.02
    pool.dispose()


def test_closed_connections_are_counted_by_reason() -> None:
    pool = new_pool(size=2, max_overflow=1)
    held = [pool.connect() for _ in range(3)]
    for connection in held:
        connection.close()
    lost = pool.connect()
    lost.invalidate(sqlite3.OperationalError("gone"))
    aged = pool.connect()
    aged.close()
    pool._slots.idle[-1]._expires_at = 0.0
    pool.connect().close()
    pool.dispose()
    closed = counted(pool).snapshot().closed
    # What was lost is not idle in the pool; nothing of it is left to be closed.
    assert closed == {"surplus": 1, "lost": 1, "age": 1, "disposed": 1}


def test_a_connection_that_is_replaced_on_the_way_to_its_borrower_is_one_checkout() -> None:
    pool = new_pool()
    verdicts = [DisconnectionError("the first is dead"), None]

    @event.listens_for(pool, "checkout")
    def judge(dbapi_connection: object, record: object, proxy: object) -> None:
        if (verdict := verdicts.pop(0)) is not None:
            raise verdict

    pool.connect().close()
    snapshot = counted(pool).snapshot()
    assert (snapshot.checkouts, snapshot.use_time.count, snapshot.create_time.count) == (1, 1, 2)
    pool.dispose()


def test_counters_go_on_when_the_pool_is_made_anew() -> None:
    pool = new_pool()
    pool.connect().close()
    pool.dispose()
    again = pool.recreate()
    again.connect().close()
    again.dispose()
    snapshot = counted(again).snapshot()
    assert (snapshot.checkouts, snapshot.use_time.count, snapshot.create_time.count) == (2, 2, 2)


def test_a_failed_connect_takes_no_ledger_with_it() -> None:
    def refuse() -> sqlite3.Connection:
        raise sqlite3.OperationalError("no server")

    pool = new_pool(creator=refuse)
    for _ in range(5):
        with pytest.raises(sqlite3.OperationalError):
            pool.connect()
    assert len(counted(pool)._slot_counters) == 1


def test_nothing_is_lost_when_many_threads_count_at_once() -> None:
    pool, threads, cycles = new_pool(size=3), 12, 400
    start = threading.Barrier(threads)

    def work(_: int) -> None:
        start.wait()
        for _ in range(cycles):
            pool.connect().close()

    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(work, range(threads)))
    snapshot = counted(pool).snapshot()
    assert (snapshot.checkouts, snapshot.use_time.count, snapshot.wait_time.count) == (threads * cycles,) * 3
    pool.dispose()


def test_a_disk_that_does_not_answer_one_request_holds_up_no_other() -> None:
    statistics, is_blocked, may_go_on = RequestStatistics(), threading.Event(), threading.Event()

    def write(requests: int) -> None:
        if requests == 1:
            is_blocked.set()
            assert may_go_on.wait(60)

    statistics.on_request = write
    with ThreadPoolExecutor(2) as threads:
        try:
            first = threads.submit(statistics.record_request, 1)
            assert is_blocked.wait(30)
            threads.submit(statistics.record_request, 1).result(timeout=30)
            assert statistics.requests == 2
        finally:
            may_go_on.set()
        first.result(timeout=30)
