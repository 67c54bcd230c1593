from __future__ import annotations

import pytest

from webapp.pooling.errors import PoolConfigurationError
from webapp.pooling.freshness import is_worth_a_ping, recycle_after


def test_connections_are_renewed_at_four_fifths_of_wait_timeout() -> None:
    assert recycle_after(None, wait_timeout=100) == 80


def test_a_smaller_configured_age_is_kept() -> None:
    assert recycle_after(30, wait_timeout=100) == 30


def test_a_configured_age_close_to_wait_timeout_is_lowered() -> None:
    assert recycle_after(95, wait_timeout=100) == 80


@pytest.mark.parametrize("configured", [100, 101, 28800])
def test_an_age_not_below_wait_timeout_is_refused_with_both_numbers(configured: int) -> None:
    with pytest.raises(
        PoolConfigurationError, match=rf"POOL_RECYCLE is {configured} s.*wait_timeout = 100 s.*80 or less"
    ):
        recycle_after(configured, wait_timeout=100)


def test_the_shortest_wait_timeout_still_gives_a_second() -> None:
    assert recycle_after(None, wait_timeout=1) == 1


@pytest.mark.parametrize(
    ("idle", "window", "asked"), [(None, 0.5, False), (0.4, 0.5, False), (0.5, 0.5, True), (0.0, 0.0, True)]
)
def test_only_a_connection_that_lay_idle_is_asked(idle: float | None, window: float, asked: bool) -> None:
    assert is_worth_a_ping(idle, window) is asked
