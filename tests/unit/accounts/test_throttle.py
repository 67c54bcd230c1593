from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from webapp.accounts import throttle
from webapp.accounts.models import SignInFailure
from webapp.accounts.throttle import FORGET_AFTER, FREE_FAILURES, MAX_DELAY, ThrottledKeys
from webapp.db.timestamps import database_now
from webapp.errors import SignInThrottledError

ADA, LINUS = throttle.key_of_name("ada"), throttle.key_of_name("linus")


def fail(work: UnitOfWork, key: bytes, times: int) -> None:
    for _ in range(times):
        work.run_in_transaction(lambda connection: throttle.record_failure(connection, key))


def failures(work: UnitOfWork, key: bytes) -> tuple[int, float]:
    with work.read() as connection:
        return throttle.count_failures(connection, key)


def grow_old(work: UnitOfWork, seconds: float) -> None:
    with work.transaction() as connection:
        at = database_now(connection) - timedelta(seconds=seconds)
        connection.execute(update(SignInFailure).values(last_failed_at=at))


def test_the_delay_begins_after_some_failures_and_doubles_up_to_a_minute() -> None:
    assert [throttle.delay_after(number) for number in range(FREE_FAILURES)] == [0.0] * FREE_FAILURES
    assert [throttle.delay_after(FREE_FAILURES + number) for number in range(3)] == [1.0, 2.0, 4.0]
    assert throttle.delay_after(1000) == MAX_DELAY


def test_failures_are_counted_for_each_name_in_any_case(work: UnitOfWork) -> None:
    fail(work, ADA, FREE_FAILURES + 5)
    fail(work, LINUS, 1)
    count, remaining = failures(work, throttle.key_of_name("ADA"))
    assert (count, 0 < remaining <= 32) == (FREE_FAILURES + 5, True)
    assert failures(work, LINUS) == (1, 0.0)


def test_a_delay_that_is_over_is_over(work: UnitOfWork) -> None:
    fail(work, ADA, FREE_FAILURES)
    grow_old(work, 2)
    assert failures(work, ADA) == (FREE_FAILURES, 0.0)


def test_failures_that_are_long_past_count_no_longer_and_are_removed(work: UnitOfWork) -> None:
    fail(work, ADA, 10)
    grow_old(work, FORGET_AFTER + 1)
    assert failures(work, ADA) == (0, 0.0)
    fail(work, LINUS, 1)
    with work.read() as connection:
        assert connection.execute(select(func.count()).select_from(SignInFailure)).scalar_one() == 1


def test_a_right_password_begins_the_count_anew(work: UnitOfWork) -> None:
    fail(work, ADA, 10)
    work.run_in_transaction(lambda connection: throttle.forget_failures(connection, ADA))
    assert failures(work, ADA) == (0, 0.0)


def test_a_worker_refuses_from_memory_until_the_time_has_come(clock: SettableClock) -> None:
    clock.stop()
    throttled = ThrottledKeys()
    throttled.refuse(ADA, 5.0)
    clock.advance(2.0)
    throttled.check(LINUS)
    with pytest.raises(SignInThrottledError) as refusal:
        throttled.check(ADA)
    assert refusal.value.retry_after == 3
    clock.advance(3.1)
    throttled.check(ADA)


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, clock: SettableClock) -> None:
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 3)
    throttled = ThrottledKeys()
    for number in range(10):
        throttled.refuse(throttle.key_of_name(str(number)), 5.0)
    assert len(throttled._retry_at) == 3
    clock.advance(6.0)
    throttled.refuse(ADA, 5.0)
    assert list(throttled._retry_at) == [ADA]
