"""The knee, and what is said about it."""

from __future__ import annotations

import pytest

from poolproof.capacity.budget import FleetSize
from poolproof.capacity.server_info import ServerInfo
from poolproof.lab.sizing.recommendation import (
    Candidate,
    describe_littles_law,
    find_knee,
    fit_to_server,
    format_settings,
    is_p99_comparable,
    littles_law_ratio,
    mean_busy_connections,
    within_one_step,
)
from poolproof.lab.sizing.usl import Interval
from poolproof.settings import PoolSettings


def sure(value: float, share: float = 0.02) -> Interval:
    return Interval(value * (1 - share), value, value * (1 + share))


def candidate(size: int, throughput: float, p99: float | None = None) -> Candidate:
    return Candidate(size, sure(throughput), sure(p99) if p99 else None)


def test_the_knee_is_the_smallest_size_within_five_percent_of_the_best() -> None:
    assert find_knee([candidate(1, 50), candidate(2, 96), candidate(4, 100), candidate(8, 99)]).size == 2


def test_a_size_with_a_bad_p99_is_not_the_knee() -> None:
    assert find_knee([candidate(2, 96, 0.4), candidate(4, 100, 0.1), candidate(8, 99, 0.09)]).size == 4


def test_a_larger_pool_with_a_worse_p99_is_passed_over() -> None:
    assert find_knee([candidate(8, 100, 0.3), candidate(2, 97, 0.1), candidate(4, 100, 0.2)]).size == 2


def test_a_good_p99_of_a_slow_size_counts_for_nothing() -> None:
    assert find_knee([candidate(1, 50, 0.01), candidate(4, 100, 0.1)]).size == 4


def test_sizes_whose_latency_was_not_measured_are_passed_over_where_others_have_one() -> None:
    assert find_knee([candidate(2, 99), candidate(4, 100, 0.1)]).size == 4


def test_a_p99_that_cannot_be_told_from_the_best_is_as_good() -> None:
    assert is_p99_comparable(Interval(0.09, 0.15, 0.4), Interval(0.08, 0.1, 0.12))
    assert not is_p99_comparable(Interval(0.09, 0.2, 0.4), Interval(0.08, 0.1, 0.12))
    assert is_p99_comparable(sure(0.124), sure(0.1))
    assert not is_p99_comparable(sure(0.2), sure(0.1))


def test_no_candidates_have_no_knee() -> None:
    with pytest.raises(ValueError, match="empty"):
        find_knee([])


def test_a_neighbour_of_the_best_is_within_one_step_and_the_next_one_is_not() -> None:
    run = [candidate(1, 1, 0.5), candidate(2, 1, 0.3), candidate(4, 1, 0.1), candidate(8, 1, 0.3)]
    assert [within_one_step(measured.size, run) for measured in run] == [False, True, True, True]
    assert not within_one_step(3, run)


def test_littles_law_holds_or_is_said_not_to() -> None:
    assert littles_law_ratio(200, 0.05, 10) == pytest.approx(1)
    assert "holds" in describe_littles_law([1.01, 0.98])
    assert "off by 30%" in describe_littles_law([1.0, 0.7, 0.7])
    assert "too short" in describe_littles_law([])
    assert mean_busy_connections(640, 0.005) == pytest.approx(3.2)


def server(max_connections: int) -> ServerInfo:
    return ServerInfo("mysql", "9.7.0", wait_timeout=28800, max_connections=max_connections)


def test_a_size_that_fits_the_server_is_kept_with_its_sum() -> None:
    fitted = fit_to_server(8, FleetSize(2, 8, 1), PoolSettings(), server(100))
    # 2 × (8 + 2 + 1) × 2 + 3 + 2
    assert (fitted.size, fitted.max_connections_needed) == (8, 49)
    assert "= 49" in fitted.sentences[0]


def test_a_size_that_does_not_fit_is_lowered_to_one_that_does() -> None:
    fitted = fit_to_server(32, FleetSize(2, 32, 1), PoolSettings(), server(49))
    assert (fitted.size, fitted.max_connections_needed) == (8, 49)
    assert "32 would be better" in fitted.sentences[1]


def test_a_server_without_room_for_any_size_is_said_to_have_none() -> None:
    assert "does not fit" in fit_to_server(4, FleetSize(4, 4), PoolSettings(), server(10)).sentences[0]


def test_settings_can_be_pasted() -> None:
    assert format_settings(FleetSize(2, 8), 4) == "POOLPROOF_WORKERS=2\nPOOLPROOF_THREADS=8\nPOOL_SIZE=4\n"
