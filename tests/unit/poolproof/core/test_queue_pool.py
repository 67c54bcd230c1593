"""One set of promises for two pools: ours keeps them all, SQLAlchemy's own is expected not to.

What both must keep, because applications rely on it, is in test_pool_contract.
"""

from __future__ import annotations

import gc
import signal
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError
from sqlalchemy.pool import QueuePool

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.wait_queue import Waiter
from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from tests.support.narrowing import not_none
from tests.support.waiting import wait_until
from tests.unit.poolproof.waiting import waiting

STOCK = pytest.param(QueuePool, marks=pytest.mark.xfail(strict=True, reason="SQLAlchemy's pool does not promise this"))
NEVER = 30.0
"""Seconds; a wait that is expected to end long before."""
SOON = 2.0

Make = Callable[..., QueuePool]


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


@pytest.fixture(params=[FairQueuePool, STOCK])
def pool_class(request: pytest.FixtureRequest) -> type[QueuePool]:
    pool_class: type[QueuePool] = request.param
    return pool_class


@pytest.fixture
def make(pool_class: type[QueuePool]) -> Iterator[Make]:
    """Make a pool of either class; its connections are closed at the end."""
    made: list[QueuePool] = []

    def make(creator: Callable[[], Any] = connect, size: int = 1, timeout: float = SOON, **kw: Any) -> QueuePool:
        pool = pool_class(creator, pool_size=size, max_overflow=0, timeout=timeout, **kw)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.dispose()


@pytest.fixture
def fair() -> Iterator[Callable[..., FairQueuePool]]:
    made: list[FairQueuePool] = []

    def make(creator: Callable[[], Any] = connect, **kw: Any) -> FairQueuePool:
        made.append(FairQueuePool(creator, **{"pool_size": 1, "timeout": SOON, **kw}))
        return made[-1]

    yield make
    for pool in made:
        pool.dispose()


def test_newcomers_never_overtake_those_who_wait(make: Make) -> None:
    pool = make(timeout=NEVER)
    served = threading.Event()
    held = pool.connect()

    def borrow() -> None:
        pool.connect().close()
        served.set()

    waiter = threading.Thread(target=borrow)
    waiter.start()
    wait_until(lambda: waiting(pool) == 1)
    overtakes = 0
    for _ in range(300):
        held.close()
        held = pool.connect()
        if served.is_set():
            break
        overtakes += 1
    held.close()
    waiter.join()
    assert overtakes == 0


def test_nobody_starves_when_many_share_few(make: Make) -> None:
    pool, threads = make(size=2, timeout=NEVER), 12
    grants = [0] * threads

    def work(number: int) -> None:
        while sum(grants) < 100 * threads:
            connection = pool.connect()
            time.sleep(0.0005)
            connection.close()
            grants[number] += 1

    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(work, range(threads)))
    jain = sum(grants) ** 2 / (threads * sum(count * count for count in grants))
    assert jain > 0.98


def test_a_failed_connect_wakes_the_next_waiter_at_once(make: Make, pool_class: type[QueuePool]) -> None:
    fail_now = threading.Event()
    attempts: list[int] = []

    def first_fails() -> sqlite3.Connection:
        attempts.append(1)
        if len(attempts) == 1:
            fail_now.wait(10)
            raise sqlite3.OperationalError("no server")
        return connect()

    # SQLAlchemy's own wakes when the time-out is over.
    timeout = NEVER if pool_class is FairQueuePool else SOON / 4
    pool = make(first_fails, timeout=timeout)
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(pool.connect)
        wait_until(lambda: len(attempts) == 1)
        started_at = time.monotonic()
        second = workers.submit(pool.connect)
        wait_until(lambda: waiting(pool) == 1)
        fail_now.set()
        with pytest.raises(sqlite3.OperationalError):
            first.result()
        second.result().close()
    assert time.monotonic() - started_at < timeout


def test_a_checkin_listener_that_raises_costs_no_slot(make: Make) -> None:
    pool = make(timeout=0.3)
    event.listen(pool, "checkin", lambda *_: 1 / 0, once=True)
    with pytest.raises(ZeroDivisionError):
        pool.connect().close()
    pool.connect().close()
    assert pool.checkedout() == 0


def test_a_step_of_the_wall_clock_renews_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make(recycle=3600)
    before = pool.connect()
    dbapi_connection = before.dbapi_connection
    before.close()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    after = pool.connect()
    assert after.dbapi_connection is dbapi_connection
    after.close()


def test_connections_do_not_expire_together(make: Make) -> None:
    pool = make(size=20, recycle=1000)
    held = [pool.connect() for _ in range(20)]
    expiries = {getattr(connection._connection_record, "_expires_at", None) for connection in held}
    for connection in held:
        connection.close()
    assert len(expiries) == 20


def test_when_enough_wait_the_next_is_refused_at_once(fair: Callable[..., FairQueuePool]) -> None:
    pool = fair(max_waiting=1, timeout=NEVER)
    held = pool.connect()
    with ThreadPoolExecutor(1) as workers:
        waiter = workers.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 1)
        started_at = time.monotonic()
        with pytest.raises(PoolQueueFullError, match="1 already wait"):
            pool.connect()
        assert time.monotonic() - started_at < NEVER
        held.close()
        waiter.result().close()


def test_a_wait_that_times_out_says_the_state_and_the_remedy(fair: Callable[..., FairQueuePool]) -> None:
    pool = fair(timeout=0.1)
    held = pool.connect()
    with pytest.raises(
        PoolTimeoutError, match=r"limit of 1 connections reached.*within \d\.\d\d s.*1 are in use"
    ) as refusal:
        pool.connect()
    assert isinstance(refusal.value, SQLAlchemyTimeoutError)
    assert "Hold connections shorter" in str(refusal.value)
    held.close()
    assert pool.waiting() == 0


def test_waiters_are_served_in_the_order_they_came(fair: Callable[..., FairQueuePool]) -> None:
    pool, order = fair(timeout=NEVER), []
    held = pool.connect()

    def wait(number: int) -> None:
        connection = pool.connect()
        order.append(number)
        connection.close()

    threads = []
    for number in range(10):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: pool.waiting() == number + 1)  # type: ignore[misc]
    held.close()
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_a_larger_pool_serves_those_who_wait_and_a_smaller_one_closes_what_is_too_much(
    fair: Callable[..., FairQueuePool],
) -> None:
    pool = fair(timeout=NEVER)
    held = pool.connect()
    with ThreadPoolExecutor(2) as workers:
        waiting = [workers.submit(pool.connect) for _ in range(2)]
        wait_until(lambda: pool.waiting() == 2)
        pool.resize(3)
        others = [future.result() for future in waiting]
    assert (pool.checkedout(), pool.overflow()) == (3, 0)
    others[0].close()
    pool.resize(1)
    assert (pool.checkedout(), pool.checkedin()) == (2, 0)
    others[1].close()
    assert (pool.checkedout(), pool.checkedin()) == (1, 0)
    held.close()
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)


def test_a_wait_that_is_interrupted_leaves_no_trace(fair: Callable[..., FairQueuePool]) -> None:
    pool, main = fair(timeout=NEVER), threading.main_thread()
    held = pool.connect()

    def interrupt() -> None:
        ident = not_none(main.ident)
        wait_until(lambda: sys._current_frames()[ident].f_code is Waiter.wait.__code__)
        signal.pthread_kill(ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        pool.connect()
    interrupter.join()
    assert pool.waiting() == 0
    held.close()
    pool.connect().close()
    assert pool.checkedout() == 0


def test_what_a_pool_that_was_replaced_had_lent_is_closed_when_it_comes_back(
    fair: Callable[..., FairQueuePool],
) -> None:
    pool = fair(pool_size=2)
    held, idle = pool.connect(), pool.connect()
    closed: list[object] = []
    event.listen(pool, "close", lambda connection, record: closed.append(connection))
    idle.close()
    pool.dispose()
    pool.recreate()
    assert len(closed) == 1
    held.close()
    assert (len(closed), pool.checkedin(), pool.checkedout()) == (2, 0, 0)


def test_a_pool_that_was_disposed_keeps_what_it_opens_afterwards() -> None:
    made: list[object] = []

    def creator() -> Any:
        made.append(None)
        return connect()

    for pool in (QueuePool(creator), FairQueuePool(creator)):
        pool.connect().close()
        pool.dispose()
        made.clear()
        for _ in range(10):
            pool.connect().close()
        assert len(made) == 1
        pool.dispose()


def test_a_limit_holds_again_after_there_was_none(fair: Callable[..., FairQueuePool]) -> None:
    pool = fair(pool_size=1)
    pool.resize(0)
    lent = [pool.connect() for _ in range(5)]
    for connection in lent:
        connection.close()
    pool.resize(2)
    assert (pool.limit(), pool.checkedin()) == (2, 2)
    assert pool.recreate().limit() == 2


def test_a_record_that_is_lost_on_its_way_to_a_borrower_costs_no_slot(fair: Callable[..., FairQueuePool]) -> None:
    pool = fair(pool_size=1)
    pool.connect().close()
    # An exception of another thread, such as the one of a timeout, may arrive after any step.
    record = pool._do_get()
    del record
    assert (pool.checkedout(), pool.checkedin()) == (0, 0)
    pool.connect().close()


def test_a_pool_that_is_collected_takes_its_idle_connections_with_it() -> None:
    pool = FairQueuePool(connect, pool_size=2)
    lent = [pool.connect(), pool.connect()]
    for connection in lent:
        connection.close()
    reference = weakref.ref(pool)
    del pool, lent, connection
    gc.collect()
    assert reference() is None


def test_a_slot_is_free_only_when_its_connection_is_closed(fair: Callable[..., FairQueuePool]) -> None:
    closing, may_close = threading.Event(), threading.Event()

    class SlowToClose:
        def rollback(self) -> None:
            """Do nothing."""

        def close(self) -> None:
            closing.set()
            may_close.wait(10)

    pool = fair(SlowToClose, pool_size=1, max_overflow=1, timeout=NEVER)
    held = [pool.connect(), pool.connect()]
    held.pop().close()
    with ThreadPoolExecutor(2) as workers:
        returned = workers.submit(held.pop().close)
        closing.wait(10)
        first = pool.connect()
        second = workers.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 1)
        assert not second.done(), "the server still counts the connection that is being closed"
        may_close.set()
        returned.result(10)
        for connection in (first, second.result(10)):
            connection.close()
