"""What a time line says about a fault: pure arithmetic on made-up ones."""

from __future__ import annotations

import pytest

from webapp.lab.drills import recovery
from webapp.lab.drills.recovery import LoadHistory, UnitSample


def make_history(*, back: float = 3.0, errors_from: float = 99.0, ends: float = 8.0) -> LoadHistory:
    """Twenty successes a second from 1000 on; none from the fault at 1002 until `back`; every one an error later on."""
    moments = [1000 + number * 0.05 + 0.01 for number in range(int(ends * 20))]
    samples = [
        UnitSample(at - 0.01, at, "error 2013" if at - 1000 >= errors_from else "")
        for at in moments
        if not 2.0 <= at - 1000 < back
    ]
    return LoadHistory(
        tuple(samples), started_at=1000.0, ended_at=1000 + ends, fault_started_at=1002.0, fault_ended_at=1002.5
    )


def test_recovery_is_timed_from_the_end_of_the_cause() -> None:
    history = make_history(back=3.0)
    assert history.time_to_first_success() == pytest.approx(0.51, abs=0.02)
    assert history.time_to_full_rate() == pytest.approx(0.5, abs=0.11)
    assert history.longest_gap() == pytest.approx(1.05, abs=0.1)
    assert history.usual_rate() == pytest.approx(20, abs=1)


def test_what_never_comes_back_has_no_recovery() -> None:
    history = make_history(back=9.0)
    assert history.time_to_first_success() is None
    assert history.time_to_full_rate() is None
    assert not recovery.full_rate_within(history, 60).passed
    assert not recovery.gap_at_most(history, 1.0).passed


def test_what_was_under_way_when_the_fault_came_is_no_sign_of_recovery() -> None:
    under_way, next_one = UnitSample(1001.9, 1002.6), UnitSample(1002.1, 1004.0)
    history = LoadHistory(
        (under_way, next_one), started_at=1000.0, ended_at=1005.0, fault_started_at=1002.0, fault_ended_at=1002.5
    )
    assert history.time_to_first_success() == pytest.approx(1.5)


def test_half_of_the_rate_is_not_all_of_it() -> None:
    complete = make_history(back=2.0)
    half = LoadHistory(
        tuple(sample for number, sample in enumerate(complete.samples) if sample.ended_at < 1002 or number % 2),
        1000,
        1008,
        1002,
        1002,
    )
    assert half.time_to_full_rate() is None
    assert half.time_to_first_success() is not None


def test_a_time_line_counts_each_sample_once() -> None:
    history = make_history(errors_from=6.0)
    bins = history.bins()
    assert sum(good for _, good, _ in bins) + sum(bad for _, _, bad in bins) == len(history.samples)
    assert next(at for at, _, bad in bins if bad) == 6.0
    assert all(bad == 0 for at, _, bad in bins if at < 6.0)
    assert len(history.slowest_per_bin()) == len(bins) == 80


def test_errors_after_the_fault_have_no_excuse() -> None:
    late = make_history(errors_from=6.0)
    assert not recovery.errors_end_within(late, 1.0).passed
    assert recovery.errors_end_within(late, 6.0).passed
    assert recovery.errors_at_most(late, 40).passed
    assert not recovery.errors_at_most(late, 39).passed
    assert "40 × error 2013" in recovery.no_errors(late).observed


def test_the_wait_counts_from_the_moment_at_which_it_was_meant_to_begin() -> None:
    waited = LoadHistory((UnitSample(1000.0, 1003.5),), 1000.0, 1004.0, 1001.0, 1001.0)
    assert waited.longest_wait() == 3.5
    assert recovery.wait_at_most(waited, 3.6).passed
    assert not recovery.wait_at_most(waited, 3.4).passed
