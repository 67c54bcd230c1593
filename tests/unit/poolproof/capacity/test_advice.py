"""The demand against the pools' sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolproof.capacity.advice import (
    Demand,
    SizeRecommendation,
    Usage,
    check_demand,
    check_recommendation,
    check_server_usage,
    measure_demand,
)
from poolproof.capacity.budget import Level

RECOMMENDATION = SizeRecommendation("2026-11-26 09:00:00 UTC", workers=2, pool_size=6, throughput=812.4, p99=0.04)


def test_demand_is_littles_law_summed_over_processes() -> None:
    usage = Usage(checkouts=1200, busy_seconds=96.0, window_seconds=60.0)
    demand = measure_demand([usage, usage], open_most=18)
    assert demand.rate == pytest.approx(40)
    assert demand.busy == pytest.approx(3.2)
    assert demand.mean_use_time == pytest.approx(0.08)
    assert demand.open_most == 18


def test_without_checkouts_there_is_no_demand_and_no_mean() -> None:
    assert measure_demand([]).mean_use_time == 0
    assert check_demand(measure_demand([]), 16).sentence == "No connection was checked out in the last minute."


def test_the_arithmetic_of_the_demand_is_in_the_sentence() -> None:
    finding = check_demand(Demand(rate=40, busy=3.2), 16)
    assert finding.level is Level.OK
    assert finding.sentence == "Needs 3.2 of 16: 40.0 checkouts per second, 80.0 ms each."


def test_a_demand_of_nearly_all_connections_is_a_warning_with_a_remedy() -> None:
    finding = check_demand(Demand(rate=40, busy=15.0), 16)
    assert finding.level is Level.WARN
    assert "POOL_SIZE" in finding.remedy


@pytest.mark.parametrize(("connected", "allowed"), [(100, 151), (500, None), (0, 0)])
def test_a_server_with_room_is_no_finding(connected: int, allowed: int | None) -> None:
    assert check_server_usage(connected, allowed) is None


def test_a_server_that_is_nearly_full_is_a_failure() -> None:
    finding = check_server_usage(140, 151)
    assert finding is not None
    assert (finding.level, finding.sentence) == (Level.FAIL, "The server has 140 of 151.")


def test_a_recommendation_is_compared_with_what_is_set_and_needed() -> None:
    finding = check_recommendation(RECOMMENDATION, Demand(rate=40, busy=3.2), available=16, workers=2)
    assert finding.level is Level.OK
    assert finding.sentence == (
        "The lab measured on 2026-11-26 that 12 connections carry 812 requests per second, p99 40 ms; "
        "16 are set, 3.2 are needed now."
    )


def test_settings_far_from_the_recommendation_are_a_warning() -> None:
    small = replace(RECOMMENDATION, pool_size=2)
    finding = check_recommendation(small, Demand(rate=40, busy=2.0), available=16, workers=2)
    assert finding.level is Level.WARN
    assert "POOL_SIZE=2" in finding.remedy


def test_a_demand_beyond_the_recommendation_asks_for_another_measurement() -> None:
    finding = check_recommendation(RECOMMENDATION, Demand(rate=400, busy=13.0), available=16, workers=2)
    assert finding.level is Level.WARN
    assert "Measure again" in finding.remedy
