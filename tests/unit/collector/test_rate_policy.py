"""When the next call may begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webapp.collector.rate_policy import DailyLimitReached, QuotaState, RetryAfter, decide, permit_ttl
from webapp.collector.sources.base import SourceLimits

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0)
FRESH = QuotaState(MIDNIGHT, 0, NOON)
FIVE = SourceLimits(spacing=5.0)


def test_a_call_may_begin_when_nothing_is_under_way() -> None:
    assert decide(FRESH, FIVE, NOON, 0) == QuotaState(MIDNIGHT, 1, NOON + timedelta(seconds=5.5))


def test_the_next_one_waits_for_the_spacing_and_a_margin() -> None:
    after = decide(FRESH, FIVE, NOON, 0)
    assert isinstance(after, QuotaState)
    assert decide(after, FIVE, NOON + timedelta(seconds=2), 0) == RetryAfter(3.5)


@pytest.mark.parametrize("spacing", [0.01, 0.2, 1.0, 5.0, 60.0])
def test_two_calls_made_while_their_turns_are_good_are_never_too_close(spacing: float) -> None:
    limits = SourceLimits(spacing=spacing)
    first = decide(FRESH, limits, NOON, 0)
    assert isinstance(first, QuotaState)
    latest = NOON + timedelta(seconds=permit_ttl(limits))
    assert first.free_at - latest > timedelta(seconds=spacing)


def test_without_spacing_calls_begin_together_up_to_the_concurrency() -> None:
    limits = SourceLimits(concurrency=2)
    first = decide(FRESH, limits, NOON, 0)
    assert isinstance(first, QuotaState)
    assert isinstance(decide(first, limits, NOON, 1), QuotaState)
    assert isinstance(decide(first, limits, NOON, 2), RetryAfter)


def test_a_spent_quota_lasts_until_midnight_in_utc() -> None:
    limits = SourceLimits(daily=3)
    assert isinstance(decide(QuotaState(MIDNIGHT, 2, NOON), limits, NOON, 0), QuotaState)
    assert decide(QuotaState(MIDNIGHT, 3, NOON), limits, NOON, 0) == DailyLimitReached(MIDNIGHT + timedelta(days=1))


def test_a_new_day_has_a_new_quota_and_an_old_day_none() -> None:
    limits, spent = SourceLimits(daily=3), QuotaState(MIDNIGHT, 3, NOON)
    tomorrow = decide(spent, limits, NOON + timedelta(days=1), 0)
    assert isinstance(tomorrow, QuotaState)
    assert tomorrow.calls == 1
    assert isinstance(decide(spent, limits, NOON - timedelta(days=1), 0), DailyLimitReached)
