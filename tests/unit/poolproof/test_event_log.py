from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from poolproof import event_log
from tests.unit.poolproof.fleet.member import several


def event(sentence: str, at: float = 0.0) -> dict[str, object]:
    return {"at": at or time.time(), "kind": "test", "sentence": sentence, "place": "", "by": "worker 1"}


def test_what_happened_is_read_with_the_latest_first(tmp_path: Path) -> None:
    for number in range(5):
        event_log.append(tmp_path, [event(f"number {number}", at=number + 1)])
    assert [entry["sentence"] for entry in event_log.recent(tmp_path, 3)] == ["number 4", "number 3", "number 2"]
    assert event_log.recent(tmp_path, 3)[0] == event("number 4", at=5)


def test_where_nothing_has_happened_or_can_be_written_nothing_is_read(tmp_path: Path) -> None:
    event_log.append(tmp_path / "nowhere", [event("lost")])
    assert event_log.recent(tmp_path / "nowhere", 10) == []


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with several(folder, 3) as processes:
        for process in processes:
            process.begin("append_events", 15, 2500)
        for process in processes:
            process._answer()
        lines = [json.loads(line) for line in (folder / "diary").read_text().splitlines()]
        for process in processes:
            assert [line["number"] for line in lines if line["by"] == process.pid] == list(range(15))
        assert len(event_log.recent(folder, 1000)) == 45


def test_the_diary_stays_small_and_keeps_the_latest(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with several(folder, 3) as processes:
        # By turns: while one process rotates the file, others may still write to it.
        for _ in range(20):
            for process in processes:
                process.do("append_events", 10, 2500)
    sizes = [path.stat().st_size for path in folder.glob("diary*")]
    assert len(sizes) <= 2
    assert max(sizes) <= event_log.MAX_LOG_BYTES + event_log.MAX_SENTENCE_LENGTH + 200
    last = {line["by"]: line["number"] for line in reversed(event_log.recent(folder, 1000))}
    assert set(last.values()) == {9}


def test_the_diary_is_not_thrown_away_twice_by_two_who_find_it_large(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with several(folder, 3) as processes:
        for process in processes:
            process.begin("append_events", 150, 2500)
        for process in processes:
            process._answer()
    # A file that was just begun must not take the place of the one before it.
    assert sum(path.stat().st_size for path in folder.glob("diary*")) > event_log.MAX_LOG_BYTES


def test_a_long_sentence_is_cut_and_a_torn_line_left_out(tmp_path: Path) -> None:
    event_log.append(tmp_path, [event("é" * 10_000)])
    with (tmp_path / "diary").open("a") as file:
        file.write('{"at": 1, "sent\n[]\n3\n{}\n')
    event_log.append(tmp_path, [event("after")])
    assert [entry["sentence"][:5] for entry in event_log.recent(tmp_path, 10)] == ["after", "ééééé"]
    assert len(event_log.recent(tmp_path, 10)[1]["sentence"]) == event_log.MAX_SENTENCE_LENGTH


def test_a_diary_with_bytes_that_are_no_text_is_read_as_far_as_it_is_text(tmp_path: Path) -> None:
    (tmp_path / "diary").write_bytes(b"\xff\xfe\x00\n")
    event_log.append(tmp_path, [event("readable")])
    assert [entry["sentence"] for entry in event_log.recent(tmp_path, 10)] == ["readable"]


def test_a_full_disk_costs_events_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "diary").symlink_to("/dev/full")
    event_log.append(tmp_path, [event("lost")])


def test_an_event_that_comes_in_crowds_is_told_once_until_it_was_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    event_log.drain()
    now = [1000.0]
    monkeypatch.setattr(event_log, "time", Clock(now))
    for number in range(100):
        assert event_log.record_throttled("a crowd", "Again.") == (number == 0)
        now[0] += 1
    now[0] += event_log.THROTTLE_INTERVAL
    assert event_log.record_throttled("a crowd", "And again.")
    event_log.record("single", "Once.")
    assert [entry["sentence"] for entry in event_log.drain()] == ["Again.", "And again.", "Once."]
    assert event_log.drain() == []


def test_no_more_events_are_kept_than_somebody_would_read() -> None:
    for number in range(event_log.MAX_BUFFERED + 50):
        event_log.record("many", str(number))
    events = event_log.drain()
    assert len(events) == event_log.MAX_BUFFERED
    assert events[-1]["sentence"] == str(event_log.MAX_BUFFERED + 49)


class Clock:
    def __init__(self, now: list[float]) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now[0]

    def time(self) -> float:
        return self._now[0]


def test_who_writes_is_the_only_one_who_may_read(tmp_path: Path) -> None:
    event_log.append(tmp_path, [event("private")])
    assert (tmp_path / "diary").stat().st_mode & 0o077 == 0
