"""A lane that is paused lends nothing; nobody who waits is turned away for that."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text

from webapp.pooling.engine import engine_options
from webapp.pooling.errors import PoolTimeoutError
from webapp.pooling.extension import Pooling
from webapp.pooling.lanes import Lanes, open_lanes
from webapp.pooling.pool import FairQueuePool
from webapp.pooling.settings import PoolSettings

TIMEOUT = 0.2


@pytest.fixture
def pool() -> Iterator[FairQueuePool]:
    pool = FairQueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False), pool_size=2, max_overflow=0, timeout=TIMEOUT
    )
    yield pool
    pool.pause(is_paused=False)
    assert pool.checkedout() == 0
    pool.dispose()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.002)


def test_a_paused_pool_closes_its_idle_connections_at_once(pool: FairQueuePool) -> None:
    held = [pool.connect(), pool.connect()]
    for one in held:
        one.close()
    assert pool.checkedin() == 2
    pool.pause()
    assert (pool.checkedin(), pool.checkedout()) == (0, 0)


def test_a_connection_that_was_out_is_closed_when_it_comes_back(pool: FairQueuePool) -> None:
    held = pool.connect()
    pool.pause()
    assert pool.checkedout() == 1, "whoever has one may end what he does"
    assert held.cursor().execute("SELECT 1").fetchone() == (1,)
    held.close()
    assert (pool.checkedin(), pool.checkedout()) == (0, 0)


def test_who_waits_while_it_is_paused_waits_beyond_his_time_out_and_is_served_after(pool: FairQueuePool) -> None:
    pool.pause()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(lambda: pool.connect().close()) for _ in range(3)]
        time.sleep(4 * TIMEOUT)
        assert pool.waiting() == 3
        assert pool.checkedout() == 0, "it has lent nothing"
        pool.pause(is_paused=False)
        for one in waiting:
            one.result(timeout=5)


def test_who_waited_before_the_pause_is_served_after_it_in_his_turn(pool: FairQueuePool) -> None:
    held = [pool.connect(), pool.connect()]
    served: list[int] = []

    def borrow(number: int) -> None:
        connection = pool.connect()
        served.append(number)
        time.sleep(0.02)
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        waiting = []
        for number in range(4):
            waiting.append(threads.submit(borrow, number))
            wait_until(lambda number=number: pool.waiting() == number + 1)  # type: ignore[misc]
        pool.pause()
        for one in held:
            one.close()
        time.sleep(3 * TIMEOUT)
        assert served == []
        pool.resize(1)
        assert served == [], "a paused pool that is resized stays paused"
        pool.pause(is_paused=False)
        for one in waiting:
            one.result(timeout=5)
    assert served == [0, 1, 2, 3]


def test_after_the_pause_a_wait_has_its_time_out_again(pool: FairQueuePool) -> None:
    pool.pause()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(pool.connect) for _ in range(3)]
        time.sleep(2 * TIMEOUT)
        pool.pause(is_paused=False)
        errors = [one.exception(timeout=5) for one in waiting]
        assert [type(error) for error in errors if error] == [PoolTimeoutError]
        for one, error in zip(waiting, errors, strict=True):
            if error is None:
                one.result().close()


@pytest.mark.parametrize("moment", [0.9, 0.99, 1.0, 1.01, 1.1])
def test_the_time_out_counts_from_the_end_of_the_pause_whenever_that_is(pool: FairQueuePool, moment: float) -> None:
    pool.pause()
    with ThreadPoolExecutor(3) as threads:
        # The places are taken by two who keep them for half of a time-out; the third must wait for these.
        waiting = [threads.submit(borrow_for, pool, TIMEOUT / 2) for _ in range(3)]
        time.sleep(4 * TIMEOUT * moment)
        pool.pause(is_paused=False)
        for one in waiting:
            one.result(timeout=5)


def borrow_for(pool: FairQueuePool, seconds: float) -> None:
    connection = pool.connect()
    time.sleep(seconds)
    connection.close()


def test_pausing_twice_is_pausing_once(pool: FairQueuePool) -> None:
    for _ in range(2):
        pool.pause()
    for _ in range(2):
        pool.pause(is_paused=False)
    held = [pool.connect(), pool.connect()]
    assert pool.checkedout() == 2
    for one in held:
        one.close()
    assert pool.checkedin() == 2


def test_a_pool_made_anew_of_a_paused_one_is_paused_too(pool: FairQueuePool) -> None:
    pool.pause()
    again = pool.recreate()
    assert again.is_paused
    assert again.bounds() == (0, 0)


def test_pausing_and_going_on_under_load_loses_no_place(pool: FairQueuePool) -> None:
    ends_at = time.monotonic() + 1.5

    def borrow() -> int:
        count = 0
        while time.monotonic() < ends_at:
            try:
                pool.connect().close()
            except PoolTimeoutError:
                continue
            count += 1
        return count

    with ThreadPoolExecutor(6) as threads:
        counts = [threads.submit(borrow) for _ in range(6)]
        while time.monotonic() < ends_at:
            pool.pause()
            time.sleep(0.005)
            pool.pause(is_paused=False)
            time.sleep(0.005)
        assert sum(one.result() for one in counts) > 0
    assert (pool.waiting(), pool.checkedout()) == (0, 0)
    held = [pool.connect(), pool.connect()]
    for one in held:
        one.close()


@pytest.fixture
def lanes(pooling: Pooling) -> Iterator[Lanes]:
    settings = PoolSettings.model_validate({"size": 2, "background": 1})
    url = pooling.work.engine.url
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=2)), settings)
    yield lanes
    for lane in lanes:
        assert lane.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        lane.engine.dispose()


def test_a_paused_background_lane_stops_an_import_and_no_request(lanes: Lanes) -> None:
    pool = lanes.background.engine.pool
    assert isinstance(pool, FairQueuePool)
    pool.pause()
    done = threading.Event()

    def work() -> None:
        with lanes.background.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(20):
        with lanes.interactive.engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert not done.wait(0.2)
    assert lanes.background.is_paused()
    pool.pause(is_paused=False)
    assert done.wait(10)
    thread.join()
