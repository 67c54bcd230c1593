"""CoDel by pure time, and in a pool by real threads."""

from __future__ import annotations

import sqlite3
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from poolproof import deadlines
from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolShedError, PoolTimeoutError
from tests.support.waiting import wait_until

TIMEOUT = 30.0


def serve(codel: CoDel, *, every: float, waited: float, begin: float, seconds: float) -> list[bool]:
    """Serve waiters that have waited for `waited` seconds, one after the other; say of each whether it was rejected."""
    return [codel.should_shed(waited, begin + number * every) for number in range(int(seconds / every))]


def test_waits_below_the_target_turn_nobody_away() -> None:
    assert not any(serve(CoDel(0.05, 1), every=0.01, waited=0.04, begin=100, seconds=5))


def test_a_burst_that_is_worked_off_within_an_interval_turns_nobody_away() -> None:
    codel = CoDel(0.05, 1)
    assert not any(serve(codel, every=0.01, waited=0.8, begin=100, seconds=0.9))
    codel.on_idle()
    assert not any(serve(codel, every=0.01, waited=0.8, begin=101.5, seconds=0.9))


def test_waits_that_stay_long_are_turned_away_from_the_second_interval_on() -> None:
    codel = CoDel(0.05, 1)
    first = serve(codel, every=0.01, waited=0.3, begin=100, seconds=1)
    second = serve(codel, every=0.01, waited=0.3, begin=101.01, seconds=1)
    assert (any(first), all(second)) == (False, True)


def test_who_has_waited_less_than_twice_the_target_is_served_even_when_it_is_slow() -> None:
    codel = CoDel(0.05, 1)
    serve(codel, every=0.01, waited=0.3, begin=100, seconds=1.5)
    assert codel.is_overloaded
    assert codel.should_shed(0.11, 101.6)
    assert not codel.should_shed(0.09, 101.6)


def test_waits_that_are_long_now_and_then_turn_nobody_away() -> None:
    codel = CoDel(0.05, 1)
    for second in range(10):
        assert not any(serve(codel, every=0.01, waited=0.3, begin=100 + second, seconds=0.98))
        assert not codel.should_shed(0.01, 100.99 + second)


def test_one_short_wait_in_an_interval_ends_the_slowness() -> None:
    codel = CoDel(0.05, 1)
    serve(codel, every=0.01, waited=0.3, begin=100, seconds=1.5)
    codel.should_shed(0.01, 101.6)
    assert not any(serve(codel, every=0.01, waited=0.3, begin=102.1, seconds=0.9))


def test_where_nothing_comes_back_for_an_interval_the_pool_is_slow() -> None:
    codel = CoDel(0.05, 1)
    codel.on_first_waiter(100)
    assert not codel.on_stall(0.9, 100.9)
    assert codel.on_stall(1.0, 101.0)
    assert codel.exceeds_limit(0.2)


def small_pool(**kw: Any) -> FairQueuePool:
    return FairQueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False), **{"pool_size": 1, "timeout": TIMEOUT, **kw}
    )


def test_waiters_of_a_pool_whose_connection_never_comes_back_are_turned_away_by_themselves() -> None:
    pool = small_pool(shedding=CoDel(0.05, 0.3))
    held = pool.connect()
    started_at = time.monotonic()
    with ThreadPoolExecutor(5) as workers:
        waiting = [workers.submit(pool.connect) for _ in range(5)]
        wait_until(lambda: pool.waiting() == 1)
        assert time.monotonic() - started_at < TIMEOUT
        held.close()
        last = [future.result() for future in waiting if future.exception() is None]
        errors = [error for future in waiting if (error := future.exception()) is not None]
    assert [type(error) for error in errors] == [PoolShedError] * 4
    assert "rejected after" in str(errors[0])
    assert len(last) == 1, "one is left for the connection that comes back"
    last[0].close()
    assert (pool.checkedout(), pool.waiting()) == (0, 0)
    pool.dispose()


def test_two_threads_that_share_a_connection_are_both_served_however_long_they_keep_it() -> None:
    pool = small_pool(shedding=CoDel(0.005, 0.05))

    def use_it() -> int:
        for _ in range(15):
            connection = pool.connect()
            time.sleep(0.015)
            connection.close()
        return 15

    with ThreadPoolExecutor(2) as workers:
        served = [workers.submit(use_it) for _ in range(2)]
        assert [future.result() for future in served] == [15, 15]
    pool.dispose()


def median_wait(shedding: CoDel | None, servings: int = 80, first: int = 40) -> tuple[float, int]:
    """Let thirty threads share one connection, 5 ms each; return the median wait after the first, and the refusals."""
    pool = small_pool(shedding=shedding)
    waits: list[float] = []
    refused: list[PoolShedError] = []

    def ask() -> None:
        while len(waits) < servings:
            asked_at = time.monotonic()
            try:
                connection = pool.connect()
            except PoolShedError as error:
                refused.append(error)
                continue
            waits.append(time.monotonic() - asked_at)
            time.sleep(0.005)
            connection.close()

    with ThreadPoolExecutor(30) as workers:
        for _ in range(30):
            workers.submit(ask)
    pool.dispose()
    return statistics.median(waits[first:servings]), len(refused)


def test_under_steady_overload_the_served_are_served_soon() -> None:
    shed, refused = median_wait(CoDel(0.01, 0.1))
    waited, _ = median_wait(None)
    assert refused > 0
    # Thirty threads on one connection of 5 ms wait 150 ms each.
    assert shed < waited / 2


def test_nobody_waits_longer_than_what_is_left_of_the_deadline() -> None:
    pool = small_pool()
    held = pool.connect()

    def ask() -> float:
        started_at = time.monotonic()
        deadlines.set_deadline(0.2)
        deadlines.set_deadline(5)
        with pytest.raises(PoolTimeoutError):
            pool.connect()
        return time.monotonic() - started_at

    assert 0.2 <= copy_context().run(ask) < 5
    assert deadlines.remaining() is None
    held.close()
    pool.dispose()
