"""Commands between real processes: they reach the one they are for, and their results come back."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from poolproof.fleet.commands import COMMAND_TTL, CommandQueue, CommandResult
from tests.unit.poolproof.fleet.member import Process, several

A_MASTER = "a master"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def done_by(process: Process) -> CommandResult:
    return CommandResult(f"done by {process.pid}", is_done=True)


def leftover_files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "orders").iterdir()]


def test_an_order_reaches_the_process_it_is_for_and_only_that_one(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 2) as (process, other):
        name = commands.send(process.key, "end", connection=7)
        assert other.do("execute_pending") == []
        assert process.do("execute_pending") == [{"action": "end", "connection": 7}]
        assert commands.wait_result(name, 5) == done_by(process)
        assert process.do("execute_pending") == [], "it is done once"
    assert leftover_files(folder) == []


def test_each_of_many_orders_has_an_outcome_of_its_own(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 3) as processes:
        sent = {commands.send(process.key, "end"): process for process in processes for _ in range(5)}
        for process in processes:
            assert len(process.do("execute_pending")) == 5
        for name, process in sent.items():
            assert commands.wait_result(name, 5) == done_by(process)


def test_a_refused_order_says_why(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 1) as (process,):
        name = commands.send(process.key, "impossible")
        process.do("execute_pending")
        assert commands.wait_result(name, 5) == CommandResult("Not done: it cannot be done.", is_done=False)


def test_an_order_that_breaks_says_so_and_the_next_one_is_carried_out(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 1) as (process,):
        names = [commands.send(process.key, action) for action in ("broken", "broken", "end")]
        assert len(process.do("execute_pending")) == 3
        outcomes = [commands.wait_result(name, 5) for name in names]
    assert outcomes[:2] == [CommandResult("Not done: KeyError: 'not foreseen'", is_done=False)] * 2
    assert outcomes[2] == done_by(process)


def test_a_process_that_does_not_answer_is_waited_for_no_longer_than_said(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 1) as (process,):
        process.signal(signal.SIGSTOP)
        name, started_at = commands.send(process.key, "end"), time.monotonic()
        assert commands.wait_result(name, 0.2) is None
        assert 0.2 <= time.monotonic() - started_at < 5


def test_stale_orders_and_outcomes_are_thrown_away(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 2) as (dead, process):
        commands.send(dead.key, "end")
        dead.signal(signal.SIGKILL)
        abandoned = commands.send(process.key, "end")
        process.do("execute_pending")
        make_old(folder)
        fresh = commands.send(dead.key, "end")
        process.do("execute_pending")
        assert leftover_files(folder) == [f"{dead.key}.{fresh}.json"]
        assert commands.wait_result(abandoned, 0) is None


def test_a_process_that_was_frozen_does_not_obey_what_was_asked_long_ago(folder: Path) -> None:
    commands = CommandQueue(folder)
    with several(folder, 1) as (process,):
        commands.send(process.key, "end", connection=7)
        make_old(folder)
        # By now another request may hold that connection.
        assert process.do("execute_pending") == []
        assert leftover_files(folder) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00"])
def test_a_torn_or_foreign_order_harms_nobody(folder: Path, content: str) -> None:
    commands = CommandQueue(folder)
    with several(folder, 1) as (process,):
        name = commands.send(process.key, "end")
        (folder / "orders" / f"{process.key}.torn.json").write_text(content)
        (folder / "orders" / "note").write_text(content)
        (folder / "overrides.json").write_text(content)
        assert len(process.do("execute_pending")) == 1
        assert commands.wait_result(name, 5) is not None
        assert commands.overrides(A_MASTER) == {}
        commands.set_overrides(A_MASTER, paused=["background"])
        assert commands.overrides(A_MASTER) == {"paused": ["background"]}


def test_standing_orders_are_for_all_workers_of_a_master_and_end_with_it(folder: Path) -> None:
    folder.mkdir()
    commands = CommandQueue(folder)
    commands.set_overrides(A_MASTER, sizes={"interactive": 3})
    commands.set_overrides(A_MASTER, paused=["background"])
    assert CommandQueue(folder).overrides(A_MASTER) == {"sizes": {"interactive": 3}, "paused": ["background"]}
    assert commands.overrides("its successor") == {}
    commands.set_overrides("its successor", paused=[])
    assert commands.overrides("its successor") == {"paused": []}
    assert commands.overrides(A_MASTER) == {}


def test_a_standing_order_is_taken_back_alone(folder: Path) -> None:
    folder.mkdir()
    commands = CommandQueue(folder)
    commands.set_overrides(A_MASTER, sizes={"interactive": 3}, paused=["background"])
    commands.set_overrides(A_MASTER, sizes=None)
    assert commands.overrides(A_MASTER) == {"paused": ["background"]}


def test_standing_orders_given_at_the_same_time_by_processes_and_threads_all_stand(folder: Path) -> None:
    commands = CommandQueue(folder)

    def set_from_process(process: Process, number: int) -> None:
        for turn in range(20):
            process.begin("set_override", f"from process {number}", turn)

    def set_from_thread(number: int) -> None:
        for turn in range(20):
            commands.set_overrides(A_MASTER, **{f"from thread {number}": turn})

    with several(folder, 2) as processes:
        with ThreadPoolExecutor(2) as threads:
            for number, process in enumerate(processes):
                set_from_process(process, number)
            list(threads.map(set_from_thread, range(2)))
        for process in processes:
            assert [process._answer() for _ in range(20)] == [None] * 20
        expected = {f"from {kind} {number}": 19 for kind in ("process", "thread") for number in range(2)}
        assert commands.overrides(A_MASTER) == expected


def make_old(folder: Path) -> None:
    before = time.time() - COMMAND_TTL - 1
    for path in (folder / "orders").iterdir():
        os.utime(path, (before, before))
