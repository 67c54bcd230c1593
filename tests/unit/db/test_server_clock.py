from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webapp.db.server_clock import ServerClock

SERVER = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_nothing_is_said_before_the_first_reading() -> None:
    clock = ServerClock()
    assert not clock.is_known()
    with pytest.raises(ValueError, match="not read yet"):
        clock.at(0.0)


def test_a_moment_is_told_within_half_of_the_round_trip() -> None:
    clock = ServerClock()
    clock.record(SERVER, sent_at=100.0, received_at=100.2)
    assert clock.is_known()
    assert abs(clock.at(100.1) - SERVER) < seconds(0.001)
    assert abs(clock.at(95.0) - (SERVER - seconds(5.1))) < seconds(0.001)


def test_a_reading_that_agrees_changes_nothing_so_that_no_order_is_exchanged() -> None:
    clock = ServerClock()
    clock.record(SERVER, sent_at=100.0, received_at=100.002)
    before = clock.at(100.0)
    clock.record(SERVER + seconds(1.004), sent_at=101.0, received_at=101.004)
    clock.record(SERVER + seconds(9), sent_at=101.0, received_at=200.0)
    assert clock.at(100.0) == before


def test_a_reading_is_recent_for_some_seconds() -> None:
    clock = ServerClock()
    assert not clock.is_recent(100.0)
    clock.record(SERVER, sent_at=100.0, received_at=100.2)
    assert clock.is_recent(101.0)
    assert not clock.is_recent(200.0)


@pytest.mark.parametrize("step", [-3600.0, -0.5, 0.5, 3600.0])
def test_a_clock_that_was_set_is_followed(step: float) -> None:
    clock = ServerClock()
    clock.record(SERVER, sent_at=100.0, received_at=100.002)
    clock.record(SERVER + seconds(1 + step), sent_at=101.0, received_at=101.002)
    assert abs(clock.at(102.0) - (SERVER + seconds(2 + step))) < seconds(0.01)


def test_a_reading_during_which_the_process_stood_still_is_corrected_by_the_next() -> None:
    clock = ServerClock()
    clock.record(SERVER, sent_at=100.0, received_at=160.0)
    clock.record(SERVER + seconds(60.001), sent_at=160.0, received_at=160.002)
    assert abs(clock.at(160.0) - (SERVER + seconds(60))) < seconds(0.01)
