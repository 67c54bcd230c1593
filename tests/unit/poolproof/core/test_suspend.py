"""A suspended pool lends nothing, and no waiter is rejected for that."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import PoolProxiedConnection

from poolproof import deadlines
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.thread_share import ThreadShare
from poolproof.engine import engine_options
from poolproof.errors import PoolTimeoutError, ThreadShareFullError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.lanes import Lanes, open_lanes
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from poolproof.settings import PoolSettings
from tests.support.clock import SettableClock
from tests.support.waiting import wait_until
from tests.unit.poolproof.waiting import Attentive

TIMEOUT = 100.0
"""Seconds on the clock of the test."""
END_TIMEOUT = 30


@pytest.fixture
def shedding() -> Attentive:
    return Attentive()


@pytest.fixture
def pool(clock: SettableClock, shedding: Attentive) -> Iterator[FairQueuePool]:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(":memory:", check_same_thread=False)

    pool = FairQueuePool(connect, pool_size=2, max_overflow=0, timeout=TIMEOUT, shedding=shedding)
    yield pool
    pool.resume()
    assert pool.checkedout() == 0
    pool.dispose()


def test_a_paused_pool_closes_its_idle_connections_at_once(pool: FairQueuePool) -> None:
    held = [pool.connect(), pool.connect()]
    for connection in held:
        connection.close()
    assert pool.checkedin() == 2
    pool.suspend()
    assert (pool.checkedin(), pool.checkedout()) == (0, 0)


def test_a_connection_that_was_out_is_closed_when_it_comes_back(pool: FairQueuePool) -> None:
    held = pool.connect()
    pool.suspend()
    assert pool.checkedout() == 1, "a thread that has one may finish"
    assert held.cursor().execute("SELECT 1").fetchone() == (1,)
    held.close()
    assert (pool.checkedin(), pool.checkedout()) == (0, 0)


@contextmanager
def borrowers(pool: FairQueuePool) -> Iterator[ThreadPoolExecutor]:
    """Threads that end also where a test has failed and left them waiting."""
    with ThreadPoolExecutor(6) as threads:
        try:
            yield threads
        finally:
            pool.resume()
            pool.resize(20)


def in_line(threads: ThreadPoolExecutor, pool: FairQueuePool, count: int) -> list[Future[PoolProxiedConnection]]:
    """Let threads borrow, one after the other; return when all of them wait."""
    waiting = []
    for number in range(count):
        waiting.append(threads.submit(pool.connect))
        wait_until(lambda number=number: pool.waiting() == number + 1)  # type: ignore[misc]
    return waiting


def test_who_waits_while_it_is_paused_waits_beyond_his_time_out_and_is_served_after(
    pool: FairQueuePool, shedding: Attentive, clock: SettableClock
) -> None:
    pool.suspend()
    with borrowers(pool) as threads:
        waiting = in_line(threads, pool, 3)
        for _ in range(4):
            clock.advance(TIMEOUT)
            shedding.wait_for_checks(10)
        assert pool.waiting() == 3
        assert pool.checkedout() == 0, "it has lent nothing"
        pool.resume()
        for future in waiting:
            future.result(timeout=END_TIMEOUT).close()


def test_who_waited_before_the_pause_is_served_after_it_in_his_turn(
    pool: FairQueuePool, shedding: Attentive, clock: SettableClock
) -> None:
    held = [pool.connect(), pool.connect()]
    with borrowers(pool) as threads:
        waiting = in_line(threads, pool, 4)
        pool.suspend()
        for connection in held:
            connection.close()
        for _ in range(3):
            clock.advance(TIMEOUT)
            shedding.wait_for_checks(10)
        assert pool.checkedout() == 0
        pool.resize(1)
        assert pool.checkedout() == 0, "a paused pool that is resized stays paused"
        pool.resume()
        for number, borrower in enumerate(waiting):
            connection = borrower.result(timeout=END_TIMEOUT)
            assert [other.done() for other in waiting] == [other <= number for other in range(4)]
            connection.close()


def test_after_the_pause_a_wait_has_its_time_out_again(
    pool: FairQueuePool, shedding: Attentive, clock: SettableClock
) -> None:
    pool.suspend()
    with borrowers(pool) as threads:
        *served, waits = in_line(threads, pool, 3)
        clock.advance(2 * TIMEOUT)
        pool.resume()
        connections = [future.result(timeout=END_TIMEOUT) for future in served]
        clock.advance(TIMEOUT / 2)
        shedding.wait_for_checks(3)
        assert not waits.done()
        clock.advance(TIMEOUT / 2)
        with pytest.raises(PoolTimeoutError):
            waits.result(timeout=END_TIMEOUT)
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("moment", [0.9, 0.99, 1.0, 1.01, 1.1])
@pytest.mark.parametrize("is_noticed", [True, False])
def test_the_time_out_counts_from_the_end_of_the_pause_whenever_that_is(
    pool: FairQueuePool, shedding: Attentive, clock: SettableClock, moment: float, *, is_noticed: bool
) -> None:
    pool.suspend()
    with borrowers(pool) as threads:
        *served, waits = in_line(threads, pool, 3)
        clock.advance(TIMEOUT * moment)
        if is_noticed:
            shedding.wait_for_checks(10)
        pool.resume()
        # Two threads hold the slots for half of a time-out; the third one has to wait for them.
        connections = [future.result(timeout=END_TIMEOUT) for future in served]
        clock.advance(TIMEOUT / 2)
        shedding.wait_for_checks(3)
        for connection in connections:
            connection.close()
        waits.result(timeout=END_TIMEOUT).close()


def test_a_wait_in_a_suspended_pool_ends_with_the_deadline_of_its_request(pool: FairQueuePool) -> None:
    pool.suspend()

    def ask() -> float:
        started_at = time.perf_counter()
        deadlines.set_deadline(0.2)
        with pytest.raises(PoolTimeoutError, match="suspended"):
            pool.connect()
        return time.perf_counter() - started_at

    assert copy_context().run(ask) < END_TIMEOUT
    assert pool.waiting() == 0


@pytest.mark.parametrize("suspended_first", [True, False])
def test_as_many_requests_wait_for_a_suspended_pool_as_their_share_allows(
    pool: FairQueuePool, shedding: Attentive, clock: SettableClock, *, suspended_first: bool
) -> None:
    pool.suspended_wait_share = ThreadShare(2)
    held = [] if suspended_first else [pool.connect(), pool.connect()]
    if suspended_first:
        pool.suspend()

    def ask() -> PoolProxiedConnection:
        current_request.set(RequestCheckouts())
        return pool.connect()

    with ThreadPoolExecutor(5) as threads:
        waits = [threads.submit(copy_context().run, ask) for _ in range(5)]
        if not suspended_first:
            wait_until(lambda: pool.waiting() == 5)
            pool.suspend()
            # They had waited for a pool that lent; from their time-out on they wait for one that does not.
            clock.advance(TIMEOUT * 1.1)
            shedding.wait_for_checks(5)
        wait_until(lambda: sum(wait.done() for wait in waits) == 3)
        assert all(isinstance(wait.exception(), ThreadShareFullError) for wait in waits if wait.done())
        assert pool.waiting() == 2
        # The threads of the process itself are not the requests'.
        background = threads.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 3)
        for connection in held:
            connection.close()
        pool.resume()
        for wait in [*waits, background]:
            if not wait.exception(END_TIMEOUT):
                wait.result().close()
    assert pool.suspended_wait_share.held() == 0


def test_pausing_twice_is_pausing_once(pool: FairQueuePool) -> None:
    for _ in range(2):
        pool.suspend()
    for _ in range(2):
        pool.resume()
    held = [pool.connect(), pool.connect()]
    assert pool.checkedout() == 2
    for connection in held:
        connection.close()
    assert pool.checkedin() == 2


def test_a_pool_made_anew_of_a_paused_one_is_paused_too(pool: FairQueuePool) -> None:
    pool.suspend()
    again = pool.recreate()
    assert again.is_suspended
    assert (again.limit(), again.max_idle()) == (0, 0)


def test_pausing_and_going_on_under_load_loses_no_place(pool: FairQueuePool) -> None:
    is_over = threading.Event()

    def borrow() -> int:
        count = 0
        while not is_over.is_set():
            pool.connect().close()
            count += 1
        return count

    with ThreadPoolExecutor(6) as threads:
        counts = [threads.submit(borrow) for _ in range(6)]
        for _ in range(100):
            pool.suspend()
            time.sleep(0.002)
            pool.resume()
            time.sleep(0.002)
        is_over.set()
        assert all(future.result(timeout=END_TIMEOUT) for future in counts)
    assert (pool.waiting(), pool.checkedout()) == (0, 0)
    held = [pool.connect(), pool.connect()]
    for connection in held:
        connection.close()


@pytest.fixture
def lanes(pooling: PoolingState) -> Iterator[Lanes]:
    settings = PoolSettings(size=2, background_size=1)
    url = pooling.work.engine.url
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=2)), settings)
    yield lanes
    for lane in lanes:
        assert lane.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        lane.engine.dispose()


def test_a_paused_background_lane_stops_an_import_and_no_request(lanes: Lanes) -> None:
    pool = lanes.background.engine.pool
    assert isinstance(pool, FairQueuePool)
    pool.suspend()
    done = threading.Event()

    def work() -> None:
        with lanes.background.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: pool.waiting() == 1)
    for _ in range(20):
        with lanes.interactive.engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert not done.is_set()
    assert lanes.background.is_suspended()
    pool.resume()
    assert done.wait(END_TIMEOUT)
    thread.join()
