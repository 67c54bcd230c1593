"""Processes that take part in a fleet by the thread of their agent."""

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
from poolproof.fleet.commands import CommandQueue, CommandResult
from poolproof.fleet.registry import FleetDirectory, Member
from poolproof.integrations.flask_ext import PoolingState
from tests.support.narrowing import not_none
from tests.support.waiting import wait_until
from tests.unit.poolproof.fleet.agent_process import INTERVAL
from tests.unit.poolproof.fleet.member import PROJECT

END_TIMEOUT = 30
RESULT_TIMEOUT = 30
SOME = 10
"""Beats."""
DONE = CommandResult("done", is_done=True)


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


@pytest.fixture
def start(folder: FleetDirectory) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.unit.poolproof.fleet.agent_process", str(folder.path)]
        process = subprocess.Popen(
            command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate(timeout=END_TIMEOUT)


Start = Callable[[], subprocess.Popen[str]]


def member(folder: FleetDirectory, pid: int) -> Member:
    return next(candidate for candidate in folder.snapshot().members if candidate.identity["pid"] == pid)


def now(folder: FleetDirectory, pid: int, name: str) -> Any:
    """Return what this member publishes under a name; None as long as there is nothing."""
    return next(
        (candidate.status.get(name) for candidate in folder.snapshot().members if candidate.identity["pid"] == pid),
        None,
    )


def wait_for_beats(folder: FleetDirectory, pid: int) -> None:
    before = member(folder, pid).counters["beats"]
    wait_until(lambda: member(folder, pid).counters["beats"] >= before + SOME)


def test_a_process_says_some_times_a_second_what_it_does(folder: FleetDirectory, start: Start) -> None:
    process = start()
    wait_until(lambda: now(folder, process.pid, "lanes") is not None)
    first = member(folder, process.pid)
    assert (first.identity["name"], first.identity["number"]) == ("worker", 3)
    assert first.identity["master"] == process_identity(os.getpid())
    wait_for_beats(folder, process.pid)
    assert member(folder, process.pid).silent_for < END_TIMEOUT
    wait_until(lambda: len(now(folder, process.pid, "strip")["rows"]) >= 1)


def test_a_process_that_ends_in_order_says_goodbye_with_its_last_counts(folder: FleetDirectory, start: Start) -> None:
    process = start()
    wait_until(lambda: now(folder, process.pid, "lanes") is not None)
    before = member(folder, process.pid).counters["beats"]
    process.terminate()
    assert process.wait(END_TIMEOUT) == 0
    assert folder.snapshot().members == []
    assert folder.crashed() == []
    assert folder.snapshot().counters["beats"] > before
    assert folder.snapshot().counters["by"] == {"one": 1}


def test_an_order_is_done_within_some_beats_and_its_outcome_comes_back(folder: FleetDirectory, start: Start) -> None:
    process, _ = start(), start()
    wait_until(lambda: len(folder.snapshot().members) == 2)
    commands = CommandQueue(folder.path)
    name = commands.send(member(folder, process.pid).key, "note", sentence="An operator was here.")
    assert commands.wait_result(name, RESULT_TIMEOUT) == DONE

    def recorded() -> list[dict[str, Any]]:
        return [event for event in event_log.recent(folder.path, 10) if event["kind"] not in {"start", "end"}]

    wait_until(lambda: bool(recorded()))
    assert [(event["sentence"], event["by"]) for event in recorded()] == [
        ("An operator was here.", f"Worker 3 (process {process.pid})")
    ]
    assert commands.wait_result(
        commands.send(member(folder, process.pid).key, "what"), RESULT_TIMEOUT
    ) == CommandResult("Not done: unknown.", is_done=False)


def test_standing_orders_reach_all_workers_also_those_that_start_later(folder: FleetDirectory, start: Start) -> None:
    folder.path.mkdir()
    ours, commands = process_identity(os.getpid()), CommandQueue(folder.path)
    process = start()
    commands.set_overrides(ours, paused=["main"])
    other = start()
    for pid in (process.pid, other.pid):
        wait_until(lambda pid=pid: now(folder, pid, "overrides") == {"paused": ["main"]})  # type: ignore[misc]
    commands.set_overrides(ours, paused=None)
    for pid in (process.pid, other.pid):
        wait_until(lambda pid=pid: now(folder, pid, "overrides") == {})  # type: ignore[misc]
    commands.set_overrides("another master", paused=["main"])
    wait_for_beats(folder, process.pid)
    assert now(folder, process.pid, "overrides") == {}


def leaders(folder: FleetDirectory, pids: list[int]) -> list[int]:
    """Return the processes that lead from now on, until one has done so some times."""

    def leader_ticks() -> dict[int, int]:
        return {pid: now(folder, pid, "leader_ticks") for pid in pids}

    before = leader_ticks()
    wait_until(lambda: any(count >= before[pid] + SOME for pid, count in leader_ticks().items()))
    return [pid for pid, count in leader_ticks().items() if count != before[pid]]


def test_one_process_leads_and_another_one_when_it_was_killed(folder: FleetDirectory, start: Start) -> None:
    running = [start() for _ in range(3)]
    pids = [process.pid for process in running]
    wait_until(lambda: all(now(folder, pid, "leader_ticks") is not None for pid in pids))
    wait_until(lambda: any(now(folder, pid, "leader_ticks") for pid in pids))
    (leader,) = leaders(folder, pids)
    os.kill(leader, signal.SIGKILL)
    others = [pid for pid in pids if pid != leader]
    wait_until(lambda: any(now(folder, pid, "leader_ticks") for pid in others))
    assert len(leaders(folder, others)) == 1


def test_a_child_of_fork_neither_leads_nor_keeps_others_from_leading(folder: FleetDirectory, start: Start) -> None:
    process = start()
    wait_until(lambda: bool(now(folder, process.pid, "leader_ticks")))
    commands = CommandQueue(folder.path)
    name = commands.send(member(folder, process.pid).key, "fork")
    child = int(not_none(commands.wait_result(name, RESULT_TIMEOUT)).sentence)
    try:
        process.kill()
        process.wait(END_TIMEOUT)
        other = start()
        wait_until(lambda: bool(now(folder, other.pid, "leader_ticks")))
        assert len(folder.snapshot().members) == 1
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_full_disk_stops_neither_the_beats_nor_the_end(folder: FleetDirectory, start: Start) -> None:
    process = start()
    wait_until(lambda: now(folder, process.pid, "lanes") is not None)
    CommandQueue(folder.path).send(member(folder, process.pid).key, "fill the disk")
    assert process.stderr is not None
    output = ""
    while "cannot publish its state for the others" not in output:
        line = process.stderr.readline()
        assert line, output
        output += line
    silent_for = member(folder, process.pid).silent_for
    wait_until(lambda: member(folder, process.pid).silent_for > silent_for + SOME * INTERVAL)
    process.terminate()
    output += process.stderr.read()
    assert process.wait(END_TIMEOUT) == 0
    assert output.count("cannot publish its state for the others") == 1, output
    assert "could not unregister" in output
    assert folder.snapshot().counters["beats"] > 0


def test_a_process_that_cannot_be_described_does_not_end_for_that(folder: FleetDirectory, start: Start) -> None:
    process = start()
    wait_until(lambda: now(folder, process.pid, "lanes") is not None)
    commands = CommandQueue(folder.path)
    assert commands.wait_result(commands.send(member(folder, process.pid).key, "break"), RESULT_TIMEOUT) == DONE
    wait_until(lambda: member(folder, process.pid).silent_for > SOME * INTERVAL)
    process.terminate()
    assert process.wait(END_TIMEOUT) == 0, "its connections have to be closed, whatever the fleet is about"
    assert folder.crashed() == []


def test_a_folder_that_cannot_be_written_is_a_warning_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    before = threading.active_count()
    agent = FleetAgent(
        FleetDirectory(tmp_path / "file" / "fleet"), lambda: ({}, {"lanes": {}}), str, lambda overrides: None
    )
    agent.start("worker", 1)
    assert "cannot publish its state for the others" in caplog.text
    assert agent.key == ""
    assert threading.active_count() == before
    agent.stop()


def test_who_never_joined_has_nothing_to_leave(folder: FleetDirectory) -> None:
    FleetAgent(folder, lambda: ({}, {"lanes": {}}), str, lambda overrides: None).stop()
    assert not folder.path.exists()


def test_who_does_not_lead_never_does(folder: FleetDirectory) -> None:
    led: list[bool] = []
    beats = itertools.count(1)
    agent = FleetAgent(
        folder,
        lambda: ({"beats": next(beats)}, {"lanes": {}}),
        str,
        lambda overrides: None,
        interval=0,
        leader_interval=0,
    )
    agent.on_leader_tick = lambda: led.append(True)
    agent.start("command", may_lead=False)
    wait_until(lambda: bool(folder.snapshot().members))
    wait_until(lambda: folder.snapshot().counters.get("beats", 0) >= SOME)
    agent.stop()
    assert led == []
    assert not (folder.path / "leader").exists()


def test_an_app_takes_part_and_what_its_requests_need_is_seen_by_all(pooling: PoolingState) -> None:
    agent = pooling.fleet_agent
    assert agent is not None
    pooling.requests.record_request(3)
    agent.start("worker", 1)
    try:
        wait_until(lambda: bool(agent.folder.snapshot().members))
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(pooling.work.read())
            connection.exec_driver_sql("SELECT 1")
            wait_until(lambda: any(found.status.get("holders") for found in agent.folder.snapshot().members))
            (found,) = agent.folder.snapshot().members
            assert found.status["lanes"]["interactive"]["used"] == 1
            (holder,) = found.status["holders"]
            assert "test_agent.py" in holder["place"]
        assert agent.folder.snapshot().counters["requests"]["statements"] >= 3
    finally:
        agent.stop()
    assert agent.folder.snapshot().members == []


def test_a_process_is_seen_with_its_state_from_the_first_moment(
    folder: FleetDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = FleetAgent(folder, lambda: ({"requests": {"requests": 1}}, {"lanes": {}}), str, lambda overrides: None)
    # Its thread publishes only later.
    monkeypatch.setattr(agent._thread, "wake", lambda: None)
    agent.start("worker")
    (seen,) = folder.snapshot().members
    agent.stop()
    assert (seen.counters, seen.status["lanes"]) == ({"requests": {"requests": 1}}, {})
