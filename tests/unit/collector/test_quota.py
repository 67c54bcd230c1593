"""Limits that hold over all processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import quota
from webapp.collector.models import CollectionCall, CollectionQuota
from webapp.collector.quota import Permit
from webapp.collector.rate_policy import DailyLimitReached, RetryAfter
from webapp.collector.sources.base import SourceLimits


@pytest.fixture
def work_with_quota(work: UnitOfWork) -> UnitOfWork:
    work.run_in_transaction(lambda connection: quota.ensure_row(connection, "birds"))
    return work


def reserve(work: UnitOfWork, limits: SourceLimits) -> Permit | RetryAfter | DailyLimitReached:
    return work.run_in_transaction(lambda connection: quota.acquire(connection, "birds", limits))


def test_opening_twice_keeps_what_was_counted(work_with_quota: UnitOfWork) -> None:
    reserve(work_with_quota, SourceLimits())
    work_with_quota.run_in_transaction(lambda connection: quota.ensure_row(connection, "birds"))
    with work_with_quota.read() as connection:
        assert connection.scalar(select(CollectionQuota.calls)) == 1


def test_a_reservation_stays_whatever_becomes_of_its_call(work_with_quota: UnitOfWork) -> None:
    assert isinstance(reserve(work_with_quota, SourceLimits(daily=1)), Permit)
    assert isinstance(reserve(work_with_quota, SourceLimits(daily=1)), DailyLimitReached)


def test_who_comes_too_early_is_told_how_long_to_wait(work_with_quota: UnitOfWork) -> None:
    limits = SourceLimits(spacing=60.0)
    assert isinstance(reserve(work_with_quota, limits), Permit)
    decision = reserve(work_with_quota, limits)
    assert isinstance(decision, RetryAfter)
    assert 30 < decision.seconds <= 66


def test_a_long_spacing_is_counted_from_the_end_of_the_call(work_with_quota: UnitOfWork) -> None:
    limits = SourceLimits(spacing=60.0)
    permit = reserve(work_with_quota, limits)
    assert isinstance(permit, Permit)
    with work_with_quota.transaction() as connection:
        # As if the call had lasted for forty seconds.
        free_at = connection.scalar(select(CollectionQuota.free_at))
        assert free_at is not None
        connection.execute(update(CollectionQuota).values(free_at=free_at - timedelta(seconds=40)))
    work_with_quota.run_in_transaction(lambda connection: quota.release(connection, "birds", permit, limits))
    decision = reserve(work_with_quota, limits)
    assert isinstance(decision, RetryAfter)
    assert decision.seconds > 40, "by the reservation alone it would be less than half a minute"


def test_a_call_whose_process_died_is_under_way_only_so_long(work_with_quota: UnitOfWork) -> None:
    limits = SourceLimits(concurrency=1)
    assert isinstance(reserve(work_with_quota, limits), Permit)
    assert isinstance(reserve(work_with_quota, limits), RetryAfter)
    with work_with_quota.transaction() as connection:
        ends_at = connection.scalar(select(CollectionCall.ends_at))
        assert ends_at is not None
        connection.execute(update(CollectionCall).values(ends_at=ends_at - timedelta(minutes=10)))
    assert isinstance(reserve(work_with_quota, limits), Permit)


def test_a_source_that_asks_to_be_left_alone_is(work_with_quota: UnitOfWork) -> None:
    work_with_quota.run_in_transaction(lambda connection: quota.back_off(connection, "birds", 120.0))
    decision = reserve(work_with_quota, SourceLimits())
    assert isinstance(decision, RetryAfter)
    assert decision.seconds > 60


def test_of_many_at_once_no_more_than_allowed_get_a_turn(work_with_quota: UnitOfWork) -> None:
    with ThreadPoolExecutor(8) as threads:
        decisions = list(threads.map(lambda _: reserve(work_with_quota, SourceLimits(concurrency=3)), range(16)))
    assert sum(isinstance(decision, Permit) for decision in decisions) == 3
