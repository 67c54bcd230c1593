"""What a process says of its lanes, its checkouts and its counters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from poolproof.core.stats import RequestStatistics
from poolproof.engine import engine_options
from poolproof.fleet import process_snapshot
from poolproof.lanes import Lanes, open_lanes
from poolproof.settings import PoolSettings
from tests.support.clock import SettableClock


@pytest.fixture
def lanes(tmp_path: Path, clock: SettableClock) -> Iterator[Lanes]:
    clock.stop()
    url = make_url(f"sqlite:///{tmp_path / 'test.sqlite'}")
    settings = PoolSettings(size=2, background_size=1)
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=2)), settings)
    yield lanes
    for lane in lanes:
        lane.engine.dispose()


def test_each_lane_has_its_state(lanes: Lanes, clock: SettableClock) -> None:
    with lanes.interactive.engine.connect():
        clock.advance(2.0)
        states = process_snapshot.lane_states(lanes)
    assert set(states) == {"interactive", "background", "console"}
    assert states["interactive"] == {
        "used": 1, "idle": 0, "size": 2, "most": 2, "waiting": 0, "oldest": 0.0, "held": 2.0,
        "is_slow": False, "is_paused": False,
    }  # fmt: skip


def test_who_holds_for_longer_than_a_moment_is_shown_with_place_and_statement(
    lanes: Lanes, clock: SettableClock
) -> None:
    with lanes.interactive.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert process_snapshot.holders(lanes) == []
        clock.advance(2.0)
        (holder,) = process_snapshot.holders(lanes)
    assert (holder["lane"], holder["seconds"], holder["statement"]) == ("interactive", 2.0, "SELECT 1")
    assert (holder["running"], holder["idle"]) == (None, 2.0)
    assert "test_process_snapshot.py" in holder["place"]
    assert holder["stack"][0] == holder["place"]
    assert json.loads(json.dumps(holder)) == holder


def test_a_checkout_is_found_by_its_number_while_it_lasts(lanes: Lanes) -> None:
    with lanes.background.engine.connect():
        (checkout,) = lanes.background.leak_detector.checkouts.live()
        assert process_snapshot.find_checkout(lanes, checkout.number) is checkout
    with lanes.background.engine.connect():
        assert process_snapshot.find_checkout(lanes, checkout.number) is None, "the next one of the same connection"


def test_counters_are_those_of_the_pools(lanes: Lanes) -> None:
    for _ in range(3):
        with lanes.console.engine.connect():
            pass
    counters = process_snapshot.lane_counters(lanes)
    assert (counters["console"]["borrows"], counters["interactive"]["borrows"]) == (3, 0)
    assert counters["console"]["violations"] == {}


def test_requests_are_counted_by_route() -> None:
    statistics = RequestStatistics()
    statistics.record_request(2)
    statistics.record_response("GET", "/quizzes/<slug>", 200, 0.1)
    counters = process_snapshot.request_counters(statistics)
    assert (counters["count"], counters["statements"], list(counters["routes"])) == (1, 2, ["GET /quizzes/<slug> 200"])


def test_nobody_waits_where_connections_are_free(lanes: Lanes) -> None:
    assert process_snapshot.waiters(lanes) == []
