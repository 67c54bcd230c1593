"""The queue of those who wait, by itself: order, bounds, rejections and a pool that is suspended."""

from __future__ import annotations

import math
import threading
import time

import pytest

from poolproof.core.codel import CoDel
from poolproof.core.wait_queue import Waiter, WaitQueue
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from tests.support.clock import SettableClock


def test_the_first_who_came_is_the_first_who_is_served() -> None:
    queue = WaitQueue(None, None)
    waiters = [queue.enqueue() for _ in range(3)]
    queue.remove(waiters[1])
    assert [queue.pop(), queue.pop()] == [waiters[0], waiters[2]]
    assert not queue.waiters


def test_a_queue_is_full_when_as_many_wait_as_may() -> None:
    queue = WaitQueue(2, None)
    queue.enqueue()
    assert not queue.is_full()
    queue.enqueue()
    assert queue.is_full()


def test_a_waiter_whose_wait_has_ended_in_this_moment_is_not_removed_again() -> None:
    queue = WaitQueue(None, None)
    waiter = queue.enqueue()
    assert queue.pop() is waiter
    waiter.grant(None)
    queue.remove(waiter)
    assert not queue.waiters


def test_in_an_overload_who_has_waited_too_long_is_rejected_and_the_next_is_served(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, CoDel(target=0.05, interval=1.0, is_overloaded=True, above_target_since=-math.inf))
    late = queue.enqueue()
    clock.advance(0.2)
    fresh = queue.enqueue()
    assert queue.pop() is fresh
    assert (late.rejected, fresh.rejected) == (True, False)


def test_waits_that_are_too_long_end_when_nothing_comes_back_for_an_interval(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, CoDel(target=0.05, interval=1.0))
    first, last = queue.enqueue(), queue.enqueue()
    clock.advance(0.5)
    queue.shed_if_stalled()
    assert not first.rejected
    clock.advance(0.6)
    queue.shed_if_stalled()
    assert (first.rejected, last.rejected) == (True, False), "one is left for the connection that comes back next"
    assert queue.pop() is last
    assert queue.oldest_wait() == 0.0


def test_the_last_of_a_queue_is_served_however_long_it_has_waited(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, CoDel(target=0.05, interval=1.0, is_overloaded=True, above_target_since=-math.inf))
    late, last = queue.enqueue(), queue.enqueue()
    clock.advance(0.2)
    assert queue.pop() is last
    assert (late.rejected, last.rejected) == (True, False)


def test_while_the_pool_is_suspended_and_just_after_no_waiter_is_rejected(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, CoDel(target=0.05, interval=1.0))
    queue.suspend()
    waiters = [queue.enqueue() for _ in range(3)]
    clock.advance(5)
    queue.shed_if_stalled()
    queue.resume()
    queue.shed_if_stalled()
    assert queue.pop() is waiters[0]
    assert not any(waiter.rejected for waiter in waiters)


def test_the_oldest_wait_is_that_of_the_first(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, None)
    queue.enqueue()
    clock.advance(2.0)
    queue.enqueue()
    assert queue.oldest_wait() == pytest.approx(2.0)


def test_a_time_out_counts_from_the_end_of_a_suspension(clock: SettableClock) -> None:
    clock.stop()
    queue = WaitQueue(None, None)
    assert queue.timeout_origin() == -math.inf
    queue.suspend()
    clock.advance(3.0)
    assert queue.timeout_origin() == time.monotonic()
    queue.resume()
    resumed_at = time.monotonic()
    clock.advance(3.0)
    assert queue.timeout_origin() == resumed_at


def test_a_grant_wakes_the_thread_that_waits() -> None:
    waiter = Waiter()
    threading.Timer(0.01, waiter.grant, [None]).start()
    waiter.wait(60.0, math.inf, lambda: None, lambda: -math.inf)
    assert waiter.granted


def test_a_wait_without_a_grant_ends_in_time_and_looks_around_meanwhile() -> None:
    checks: list[None] = []
    waiter = Waiter()
    waiter.wait(0.05, 0.01, lambda: checks.append(None), lambda: -math.inf)
    assert not waiter.granted
    assert checks


def test_a_wait_is_named_by_its_request_or_by_its_thread() -> None:
    assert Waiter().owner_name() == threading.current_thread().name
    request = RequestCheckouts()
    request.name = "GET quiz"
    token = current_request.set(request)
    try:
        assert Waiter().owner_name() == "GET quiz"
    finally:
        current_request.reset(token)
