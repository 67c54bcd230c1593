"""Processes that take part in a fleet by their publishing thread."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poolproof import event_log
from poolproof.fleet.agent import FleetAgent, process_identity
from poolproof.fleet.commands import CommandQueue
from poolproof.fleet.registry import FleetDirectory, Member
from poolproof.integrations.flask_ext import PoolingState
from tests.support.narrowing import not_none
from tests.support.waiting import wait_until
from tests.unit.poolproof.fleet.member import PROJECT
from tests.unit.poolproof.fleet.publisher import INTERVAL

ENDS_WITHIN = 30
WITHIN_SOME_BEATS = 30
SOME = 10
"""Beats."""


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


@pytest.fixture
def start(folder: FleetDirectory) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.unit.poolproof.fleet.publisher", str(folder.path)]
        one = subprocess.Popen(
            command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        running.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == "joined\n"
        return one

    yield start
    for one in running:
        one.kill()
        one.communicate(timeout=ENDS_WITHIN)


Start = Callable[[], subprocess.Popen[str]]


def member(folder: FleetDirectory, pid: int) -> Member:
    return next(one for one in folder.snapshot().members if one.identity["pid"] == pid)


def now(folder: FleetDirectory, pid: int, name: str) -> Any:
    """Return what this member says under a name; None as long as it says nothing."""
    return next((one.status.get(name) for one in folder.snapshot().members if one.identity["pid"] == pid), None)


def wait_for_beats(folder: FleetDirectory, pid: int) -> None:
    seen = member(folder, pid).counters["beats"]
    wait_until(lambda: member(folder, pid).counters["beats"] >= seen + SOME)


def test_a_process_says_some_times_a_second_what_it_does(folder: FleetDirectory, start: Start) -> None:
    one = start()
    wait_until(lambda: now(folder, one.pid, "lanes") is not None)
    first = member(folder, one.pid)
    assert (first.identity["name"], first.identity["number"]) == ("worker", 3)
    assert first.identity["master"] == process_identity(os.getpid())
    wait_for_beats(folder, one.pid)
    assert member(folder, one.pid).silent_for < ENDS_WITHIN
    wait_until(lambda: len(now(folder, one.pid, "strip")["rows"]) >= 1)


def test_a_process_that_ends_in_order_says_goodbye_with_its_last_counts(folder: FleetDirectory, start: Start) -> None:
    one = start()
    wait_until(lambda: now(folder, one.pid, "lanes") is not None)
    seen = member(folder, one.pid).counters["beats"]
    one.terminate()
    assert one.wait(ENDS_WITHIN) == 0
    assert folder.snapshot().members == []
    assert folder.crashed() == []
    assert folder.snapshot().counters["beats"] > seen
    assert folder.snapshot().counters["by"] == {"one": 1}


def test_an_order_is_done_within_some_beats_and_its_outcome_comes_back(folder: FleetDirectory, start: Start) -> None:
    one, _ = start(), start()
    wait_until(lambda: len(folder.snapshot().members) == 2)
    orders = CommandQueue(folder.path)
    name = orders.send(member(folder, one.pid).key, "note", sentence="An operator was here.")
    assert orders.wait_result(name, WITHIN_SOME_BEATS) == "done"

    def told() -> list[dict[str, Any]]:
        return [event for event in event_log.recent(folder.path, 10) if event["kind"] not in {"start", "end"}]

    wait_until(lambda: bool(told()))
    assert [(event["sentence"], event["by"]) for event in told()] == [
        ("An operator was here.", f"Worker 3 (process {one.pid})")
    ]
    assert (
        orders.wait_result(orders.send(member(folder, one.pid).key, "what"), WITHIN_SOME_BEATS) == "Not done: unknown."
    )


def test_standing_orders_reach_all_workers_also_those_that_start_later(folder: FleetDirectory, start: Start) -> None:
    folder.path.mkdir()
    ours, orders = process_identity(os.getpid()), CommandQueue(folder.path)
    one = start()
    orders.set_overrides(ours, paused=["main"])
    other = start()
    for pid in (one.pid, other.pid):
        wait_until(lambda pid=pid: now(folder, pid, "stood") == {"paused": ["main"]})  # type: ignore[misc]
    orders.set_overrides(ours, paused=None)
    for pid in (one.pid, other.pid):
        wait_until(lambda pid=pid: now(folder, pid, "stood") == {})  # type: ignore[misc]
    orders.set_overrides("another master", paused=["main"])
    wait_for_beats(folder, one.pid)
    assert now(folder, one.pid, "stood") == {}


def leaders(folder: FleetDirectory, pids: list[int]) -> list[int]:
    """Return who leads from now on, until one has led some times."""

    def led() -> dict[int, int]:
        return {pid: now(folder, pid, "led") for pid in pids}

    before = led()
    wait_until(lambda: any(count >= before[pid] + SOME for pid, count in led().items()))
    return [pid for pid, count in led().items() if count != before[pid]]


def test_one_process_leads_and_another_one_when_it_was_killed(folder: FleetDirectory, start: Start) -> None:
    running = [start() for _ in range(3)]
    pids = [one.pid for one in running]
    wait_until(lambda: all(now(folder, pid, "led") is not None for pid in pids))
    wait_until(lambda: any(now(folder, pid, "led") for pid in pids))
    (leader,) = leaders(folder, pids)
    os.kill(leader, signal.SIGKILL)
    others = [pid for pid in pids if pid != leader]
    wait_until(lambda: any(now(folder, pid, "led") for pid in others))
    assert len(leaders(folder, others)) == 1


def test_a_child_of_fork_neither_leads_nor_keeps_others_from_leading(folder: FleetDirectory, start: Start) -> None:
    one = start()
    wait_until(lambda: bool(now(folder, one.pid, "led")))
    orders = CommandQueue(folder.path)
    child = int(not_none(orders.wait_result(orders.send(member(folder, one.pid).key, "fork"), WITHIN_SOME_BEATS)))
    try:
        one.kill()
        one.wait(ENDS_WITHIN)
        other = start()
        wait_until(lambda: bool(now(folder, other.pid, "led")))
        assert len(folder.snapshot().members) == 1
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_full_disk_stops_neither_the_beats_nor_the_end(folder: FleetDirectory, start: Start) -> None:
    one = start()
    wait_until(lambda: now(folder, one.pid, "lanes") is not None)
    CommandQueue(folder.path).send(member(folder, one.pid).key, "fill the disk")
    assert one.stderr is not None
    said = ""
    while "cannot publish its state for the others" not in said:
        line = one.stderr.readline()
        assert line, said
        said += line
    silent_for = member(folder, one.pid).silent_for
    wait_until(lambda: member(folder, one.pid).silent_for > silent_for + SOME * INTERVAL)
    one.terminate()
    said += one.stderr.read()
    assert one.wait(ENDS_WITHIN) == 0
    assert said.count("cannot publish its state for the others") == 1, said
    assert "could not unregister" in said
    assert folder.snapshot().counters["beats"] > 0


def test_a_process_that_cannot_be_described_does_not_end_for_that(folder: FleetDirectory, start: Start) -> None:
    one = start()
    wait_until(lambda: now(folder, one.pid, "lanes") is not None)
    orders = CommandQueue(folder.path)
    assert orders.wait_result(orders.send(member(folder, one.pid).key, "break"), WITHIN_SOME_BEATS) == "done"
    wait_until(lambda: member(folder, one.pid).silent_for > SOME * INTERVAL)
    one.terminate()
    assert one.wait(ENDS_WITHIN) == 0, "its connections have to be closed, whatever the fleet is about"
    assert folder.crashed() == []


def test_a_folder_that_cannot_be_written_is_a_warning_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    before = threading.active_count()
    one = FleetAgent(FleetDirectory(tmp_path / "file" / "fleet"), lambda: ({}, {"lanes": {}}), str, lambda orders: None)
    one.start("worker", 1)
    assert "cannot publish its state for the others" in caplog.text
    assert one.key == ""
    assert threading.active_count() == before
    one.stop()


def test_who_never_joined_has_nothing_to_leave(folder: FleetDirectory) -> None:
    FleetAgent(folder, lambda: ({}, {"lanes": {}}), str, lambda orders: None).stop()
    assert not folder.path.exists()


def test_who_does_not_lead_never_does(folder: FleetDirectory) -> None:
    led: list[bool] = []
    beats = itertools.count(1)
    one = FleetAgent(
        folder, lambda: ({"beats": next(beats)}, {"lanes": {}}), str, lambda orders: None, interval=0, leader_interval=0
    )
    one.on_leader_tick = lambda: led.append(True)
    one.start("command", may_lead=False)
    wait_until(lambda: bool(folder.snapshot().members))
    wait_until(lambda: folder.snapshot().counters.get("beats", 0) >= SOME)
    one.stop()
    assert led == []
    assert not (folder.path / "leader").exists()


def test_an_app_takes_part_and_what_its_requests_need_is_seen_by_all(pooling: PoolingState) -> None:
    publisher = pooling.fleet_agent
    assert publisher is not None
    pooling.requests.record_request(3)
    publisher.start("worker", 1)
    try:
        wait_until(lambda: bool(publisher.folder.snapshot().members))
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(pooling.work.read())
            connection.exec_driver_sql("SELECT 1")
            wait_until(lambda: any(one.status.get("holders") for one in publisher.folder.snapshot().members))
            (one,) = publisher.folder.snapshot().members
            assert one.status["lanes"]["interactive"]["used"] == 1
            (holder,) = one.status["holders"]
            assert "test_agent.py" in holder["place"]
        assert publisher.folder.snapshot().counters["requests"]["statements"] >= 3
    finally:
        publisher.stop()
    assert publisher.folder.snapshot().members == []
