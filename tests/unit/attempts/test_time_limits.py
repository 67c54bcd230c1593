from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.attempts.test_presenter import HOUR, NOW, RULES, VERSION
from webapp.attempts.time_limits import TimeLimits
from webapp.errors import AttemptFinishedError

LIMITS = TimeLimits(grace=30, ttl=3600)
WITHOUT_END = replace(VERSION, rules=replace(RULES, closes_at=None))


def test_an_attempt_is_good_as_long_as_its_quiz_takes_answers_however_long_ago_it_was_begun() -> None:
    a_week_ago = NOW - timedelta(days=7)
    assert not LIMITS.is_over(a_week_ago, VERSION)
    assert LIMITS.seconds_left(a_week_ago, VERSION) == 3600 + 30
    LIMITS.require_time_left(a_week_ago, VERSION)
    assert not LIMITS.is_over(a_week_ago, replace(VERSION, now=NOW + HOUR + timedelta(seconds=29)))
    assert LIMITS.is_over(a_week_ago, replace(VERSION, now=NOW + HOUR + timedelta(seconds=30)))


def test_in_a_quiz_without_an_end_an_attempt_has_its_own() -> None:
    LIMITS.require_time_left(NOW - timedelta(minutes=59), WITHOUT_END)
    assert LIMITS.is_over(NOW - HOUR, WITHOUT_END)
    with pytest.raises(AttemptFinishedError, match="takes answers for 1 h"):
        LIMITS.require_time_left(NOW - HOUR, WITHOUT_END)
