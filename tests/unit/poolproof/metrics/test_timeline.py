from __future__ import annotations

from typing import Any

import pytest

from poolproof.metrics import timeline
from poolproof.metrics.timeline import COLUMNS, WINDOW_SECONDS, RecentTimeline
from poolproof.runtime.files import JsonObject


class Counting:
    """A process whose lanes do so much each time the timeline records, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.strip = RecentTimeline()
        self.borrows = self.turned_away = self.requests = 0
        monkeypatch.setattr(timeline, "time", self)

    def monotonic(self) -> float:
        return self.now

    def counted(self) -> JsonObject:
        histogram = {"counts": [], "total": self.borrows / 10}
        lane = {"borrows": self.borrows, "uses": histogram, "waits": histogram, "timeouts": self.turned_away}
        return {
            "lanes": {"interactive": {**lane, "shed": 0, "refused": 0}},
            "requests": {"count": self.requests, "statements": self.requests * 2},
            "commits": {"writer": {"batches": [self.borrows, 0], "entries": self.borrows * 3}},
        }

    def live(self, seconds: float, beat: float = 0.4, per_beat: int = 1, **state: Any) -> None:
        for _ in range(round(seconds / beat)):
            self.now += beat
            self.borrows += per_beat
            self.requests += per_beat
            lane = {"used": 1, "idle": 2, "waiting": 0, "oldest": 0.0, **state}
            self.strip.record({"interactive": lane}, self.counted())


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def test_at_first_there_is_nothing_to_show() -> None:
    assert RecentTimeline().to_dict() == {"columns": COLUMNS, "rows": []}


def test_each_second_has_a_row_and_all_its_requests_are_in_them(process: Counting) -> None:
    process.live(60.4, beat=0.4)
    rows = process.strip.to_dict()["rows"]
    # A beat is 0.4 s, so a row takes three of them.
    assert len(rows) == 50
    assert rows[-1] == [1, 2, 0, 0.0, 0, 3]
    assert sum(row[COLUMNS.index("requests")] for row in rows) == 150


def test_those_turned_away_stand_in_the_second_in_which_they_were(process: Counting) -> None:
    process.live(5, beat=0.5)
    process.turned_away = 7
    process.live(5, beat=0.5)
    rows = process.strip.to_dict()["rows"]
    assert [row[COLUMNS.index("turned_away")] for row in rows if row[4]] == [7]


def test_the_strip_reaches_back_two_minutes_and_no_further(process: Counting) -> None:
    process.live(400, beat=1.0)
    assert len(process.strip.to_dict()["rows"]) == WINDOW_SECONDS


def test_what_was_spent_lately_is_of_the_last_minute_at_most(process: Counting) -> None:
    process.live(300, beat=1.0, per_beat=1)
    process.live(60, beat=1.0, per_beat=4)
    spent = process.strip.to_dict()["spent"]
    assert spent["seconds"] == pytest.approx(59)
    assert (spent["borrows"], spent["requests"]) == (236, 236)
    assert spent["busy"] == pytest.approx(23.6)


def test_a_whole_minute_has_its_sums_and_its_peaks(process: Counting) -> None:
    process.live(30, beat=1.0)
    process.live(2, beat=1.0, used=5, waiting=9, oldest=1.5)
    assert "minute" not in process.strip.to_dict(), "it is not over"
    process.live(29, beat=1.0)
    minute = process.strip.to_dict()["minute"]
    assert minute["seconds"] == pytest.approx(60)
    assert (minute["borrows"], minute["requests"], minute["statements"]) == (60, 60, 120)
    assert (minute["batches"], minute["entries"], minute["turned_away"]) == (60, 180, 0)
    assert (minute["used_most"], minute["open_most"], minute["waiting_most"], minute["oldest_most"]) == (5, 7, 9, 1.5)
    assert minute["busy"] == minute["waited"] == pytest.approx(6)


def test_a_peak_is_of_one_minute_and_not_of_the_next(process: Counting) -> None:
    process.live(30, beat=1.0, used=6)
    process.live(31, beat=1.0)
    first = process.strip.to_dict()["minute"]
    process.live(60, beat=1.0)
    second = process.strip.to_dict()["minute"]
    assert (first["used_most"], second["used_most"]) == (6, 1)
    assert second["ended"] == first["ended"] + 60


def test_a_peak_between_two_rows_is_not_lost(process: Counting) -> None:
    process.live(30, beat=0.25)
    process.live(0.25, beat=0.25, waiting=3)
    process.live(30.5, beat=0.25)
    assert process.strip.to_dict()["minute"]["waiting_most"] == 3


def test_a_process_that_was_frozen_has_one_row_and_one_minute_for_that_time(process: Counting) -> None:
    process.live(10, beat=1.0)
    process.now += 600
    process.live(2, beat=1.0)
    tree = process.strip.to_dict()
    assert len(tree["rows"]) == 11
    assert tree["minute"]["seconds"] == pytest.approx(610)


def test_a_process_without_lanes_has_rows_too() -> None:
    timeline = RecentTimeline()
    timeline.record({}, {})
    assert timeline.to_dict()["rows"] == []


def test_what_is_still_out_is_busy_too(process: Counting) -> None:
    process.live(10, per_beat=0)
    for beat in range(1, 51):
        # Two connections, checked out when this began and still out.
        process.live(0.4, per_beat=0, used=2, held=2 * 0.4 * beat)
    spent = process.strip.to_dict()["spent"]
    assert spent["borrows"] == 0
    assert spent["busy"] == pytest.approx(2 * 20, abs=2)
