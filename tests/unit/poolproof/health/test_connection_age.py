from __future__ import annotations

import pytest

from poolproof.errors import PoolConfigurationError
from poolproof.health.connection_age import (
    WINDOW_DOUBLING_INTERVAL,
    MaintenanceAction,
    PingWindow,
    due_action,
    recycle_after,
)


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
    ("idle", "window", "is_pinged"), [(None, 0.5, False), (0.4, 0.5, False), (0.5, 0.5, True), (0.0, 0.0, True)]
)
def test_only_a_connection_that_lay_idle_is_asked(idle: float | None, window: float, is_pinged: bool) -> None:
    assert PingWindow(window).needs_ping(idle, now=1000.0) is is_pinged


def test_the_window_stays_below_half_of_wait_timeout() -> None:
    window = PingWindow(30)
    window.learn_wait_timeout(28_800)
    assert window.seconds(0) == 30
    window.learn_wait_timeout(10)
    assert window.seconds(0) == 5


def test_a_cut_off_shrinks_the_window_and_quiet_minutes_widen_it_again() -> None:
    window = PingWindow(30)
    window.record_cutoff(idle=20, now=1000)
    assert window.seconds(1000) == 10
    window.record_cutoff(idle=15, now=1001)
    assert window.seconds(1001) == 10, "that one had been pinged"
    assert window.seconds(1000 + WINDOW_DOUBLING_INTERVAL) == 20
    assert window.seconds(1000 + 2 * WINDOW_DOUBLING_INTERVAL) == 30
    assert window.seconds(1e9) == 30


def test_a_window_that_shrank_to_nothing_opens_again() -> None:
    window = PingWindow(30)
    window.record_cutoff(idle=0, now=0)
    assert window.seconds(0) == 0
    assert window.needs_ping(0.0001, 0)
    assert window.seconds(20 * WINDOW_DOUBLING_INTERVAL) == 30


@pytest.mark.parametrize(
    ("unused", "unseen", "is_expired", "is_spare", "due"),
    [
        (1, 1, False, True, None),
        (1, 1, True, False, MaintenanceAction.RECYCLE),
        (300, 1, False, True, MaintenanceAction.RETIRE),
        (300, 1, False, False, None),
        (20, 15, False, True, MaintenanceAction.PING),
        (900, 15, False, False, MaintenanceAction.PING),
    ],
)
def test_what_is_due_for_an_idle_connection(
    unused: float, unseen: float, is_expired: bool, is_spare: bool, due: MaintenanceAction
) -> None:
    action = due_action(
        unused_for=unused,
        unverified_for=unseen,
        is_expired=is_expired,
        exceeds_min_idle=is_spare,
        max_idle=300,
        keepalive_interval=15,
    )
    assert action is due
