"""The wall clock is set: ages, invalidations and waits are not affected. (SQLAlchemy's own pool is expected to.)

That a step renews nothing is in test_pool; that nothing happens on a real server, in faults/test_keeper.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError
from sqlalchemy.pool import QueuePool

from poolproof import deadlines
from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolShedError
from tests.support.clock import SettableClock
from tests.support.waiting import wait_until
from tests.unit.poolproof.waiting import waiting

STOCK = pytest.param(QueuePool, marks=pytest.mark.xfail(strict=True, reason="SQLAlchemy's pool does not promise this"))
HOURS = 5 * 3600.0
LONG = 60.0
BRIEFLY = 0.2
"""Seconds: a time-out that is waited out; and how long a wait is watched that has to go on."""

Step = Callable[[float], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """Set the wall clock so many seconds ahead, from now on and for everybody."""
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    # The queue of SQLAlchemy's pool has its own name for it.
    monkeypatch.setattr("sqlalchemy.util.queue._time", lambda: real() + ahead[0])

    def step(seconds: float) -> None:
        ahead[0] += seconds

    return step


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    made: list[QueuePool] = []

    def connect() -> Any:
        return sqlite3.connect(":memory:", check_same_thread=False)

    def make(pool_class: type[QueuePool] = FairQueuePool, **kw: Any) -> QueuePool:
        bounds = {"pool_size": 1, "max_overflow": 0, "timeout": LONG, **kw}
        made.append(pool_class(connect, **bounds))
        return made[-1]

    yield make
    for pool in made:
        pool.dispose()


def lent(pool: QueuePool) -> object:
    connection = pool.connect()
    dbapi_connection = connection.dbapi_connection
    connection.close()
    return dbapi_connection


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_a_connection_grows_old_although_the_clock_was_set_back(
    make: Callable[..., Any], step: Step, clock: SettableClock, pool_class: type[QueuePool]
) -> None:
    pool = make(pool_class, recycle=600)
    before = lent(pool)
    step(-HOURS)
    # Time passes, on both clocks.
    step(700)
    clock.advance(700)
    assert lent(pool) is not before


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_a_connection_declared_dead_is_not_lent_again_although_the_clock_was_set_back(
    make: Callable[..., Any], step: Step, pool_class: type[QueuePool]
) -> None:
    pool = make(pool_class)
    connection = pool.connect()
    before = connection.dbapi_connection
    step(-HOURS)
    connection.invalidate(soft=True)
    connection.close()
    assert lent(pool) is not before


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_all_older_connections_are_renewed_although_the_clock_was_set_back(
    make: Callable[..., Any], step: Step, pool_class: type[QueuePool]
) -> None:
    pool = make(pool_class, pool_size=2)
    first, second = pool.connect(), pool.connect()
    before = {first.dbapi_connection, second.dbapi_connection}
    second.close()
    step(-HOURS)
    # What SQLAlchemy does when it finds that the server has gone.
    pool._invalidate(first)
    first.close()
    both = [pool.connect(), pool.connect()]
    assert not before & {connection.dbapi_connection for connection in both}
    for connection in both:
        connection.close()


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_a_connection_made_after_all_were_declared_dead_is_kept_although_the_clock_was_set_back_since(
    make: Callable[..., Any], step: Step, pool_class: type[QueuePool]
) -> None:
    pool = make(pool_class)
    pool._invalidate(pool.connect())
    step(-HOURS)
    after = lent(pool)
    assert lent(pool) is after


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_a_wait_ends_in_time_although_the_clock_is_set_back_meanwhile(
    make: Callable[..., Any], step: Step, pool_class: type[QueuePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = LONG
    if pool_class is QueuePool:
        # It looks twice at the clock, which is set back in between: it waits for five hours, and is not waited for.
        calls, soon = itertools.count(), 2 * BRIEFLY
        monkeypatch.setattr("sqlalchemy.util.queue._time", lambda: time.time() - next(calls) * HOURS)
    pool = make(pool_class, timeout=BRIEFLY)
    held = pool.connect()
    with ThreadPoolExecutor(1) as workers:
        waiter = workers.submit(pool.connect)
        wait_until(lambda: waiting(pool) == 1)
        step(-HOURS)
        try:
            with pytest.raises(SQLAlchemyTimeoutError):
                waiter.result(soon)
        finally:
            held.close()


def notify(pool: QueuePool) -> None:
    """As the return of another connection does: it wakes SQLAlchemy's, which then looks at the clock."""
    if not isinstance(pool, FairQueuePool):
        queue: Any = pool._pool
        with queue.not_empty:
            queue.not_empty.notify_all()


@pytest.mark.parametrize("pool_class", [FairQueuePool, STOCK])
def test_a_wait_is_not_cut_short_although_the_clock_is_set_ahead_meanwhile(
    make: Callable[..., Any], step: Step, pool_class: type[QueuePool]
) -> None:
    pool = make(pool_class)
    held = pool.connect()
    with ThreadPoolExecutor(1) as workers:
        waiter = workers.submit(pool.connect)
        wait_until(lambda: waiting(pool) == 1)
        step(HOURS)
        notify(pool)
        wait([waiter], BRIEFLY if pool_class is FairQueuePool else LONG)
        is_waiting = not waiter.done()
        held.close()
        if is_waiting:
            waiter.result(LONG).close()
    assert is_waiting


@pytest.mark.parametrize("seconds", [HOURS, -HOURS])
def test_a_deadline_ends_a_wait_in_time_whatever_the_clock_says(
    make: Callable[..., Any], step: Step, seconds: float
) -> None:
    pool = make()
    held = pool.connect()

    def ask() -> float:
        started_at = time.monotonic()
        deadlines.set_deadline(BRIEFLY)
        step(seconds)
        with pytest.raises(SQLAlchemyTimeoutError):
            pool.connect()
        return time.monotonic() - started_at

    # A thread of its own has a context of its own: the deadline ends with it.
    with ThreadPoolExecutor(1) as workers:
        took = workers.submit(ask).result()
    held.close()
    assert BRIEFLY <= took < LONG / 2


@pytest.mark.parametrize("seconds", [HOURS, -HOURS])
def test_nobody_is_turned_away_by_a_step_and_a_slow_pool_still_turns_away(
    make: Callable[..., Any], step: Step, clock: SettableClock, seconds: float
) -> None:
    pool = make(timeout=HOURS, shedding=CoDel(target=LONG, interval=0.05))
    held = pool.connect()
    with ThreadPoolExecutor(3) as workers:
        first = workers.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 1)
        step(seconds)
        held.close()
        held = first.result(LONG)
        second = workers.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 1)
        last = workers.submit(pool.connect)
        wait_until(lambda: pool.waiting() == 2)
        clock.advance(3 * LONG)
        with pytest.raises(PoolShedError):
            second.result(LONG)
        held.close()
        last.result(LONG).close()
