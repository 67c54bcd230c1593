"""Orders between real processes: they reach the one they are for, and what came of them comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from poolproof.fleet.commands import COMMAND_TTL, CommandQueue
from tests.unit.poolproof.fleet.member import Process, several

A_MASTER = "a master"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def left(folder: Path) -> list[str]:
    return [path.name for path in (folder / "orders").iterdir()]


def test_an_order_reaches_the_process_it_is_for_and_only_that_one(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 2) as (one, other):
        name = orders.send(one.key, "end", connection=7)
        assert other.do("obey") == []
        assert one.do("obey") == [{"deed": "end", "connection": 7}]
        assert orders.wait_result(name, 5) == f"done by {one.pid}"
        assert one.do("obey") == [], "it is done once"
    assert left(folder) == []


def test_each_of_many_orders_has_an_outcome_of_its_own(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 3) as processes:
        asked = {orders.send(one.key, "end"): one for one in processes for _ in range(5)}
        for one in processes:
            assert len(one.do("obey")) == 5
        for name, one in asked.items():
            assert orders.wait_result(name, 5) == f"done by {one.pid}"


def test_a_refused_order_says_why(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 1) as (one,):
        name = orders.send(one.key, "impossible")
        one.do("obey")
        assert orders.wait_result(name, 5) == "Not done: it cannot be done."


def test_an_order_that_breaks_says_so_and_the_next_one_is_carried_out(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 1) as (one,):
        names = [orders.send(one.key, deed) for deed in ("broken", "broken", "end")]
        assert len(one.do("obey")) == 3
        outcomes = [orders.wait_result(name, 5) for name in names]
    assert outcomes[:2] == ["Not done: KeyError: 'nobody has thought of this'"] * 2
    assert outcomes[2] == f"done by {one.pid}"


def test_a_process_that_does_not_answer_is_waited_for_no_longer_than_said(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 1) as (one,):
        one.signal(signal.SIGSTOP)
        name, began = orders.send(one.key, "end"), time.monotonic()
        assert orders.wait_result(name, 0.2) is None
        assert 0.2 <= time.monotonic() - began < 5


def test_stale_orders_and_outcomes_are_thrown_away(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 2) as (dead, one):
        orders.send(dead.key, "end")
        dead.signal(signal.SIGKILL)
        nobody_asks_for = orders.send(one.key, "end")
        one.do("obey")
        make_old(folder)
        fresh = orders.send(dead.key, "end")
        one.do("obey")
        assert left(folder) == [f"{dead.key}.{fresh}.json"]
        assert orders.wait_result(nobody_asks_for, 0) is None


def test_a_process_that_was_frozen_does_not_obey_what_was_asked_long_ago(folder: Path) -> None:
    orders = CommandQueue(folder)
    with several(folder, 1) as (one,):
        orders.send(one.key, "end", connection=7)
        make_old(folder)
        # By now another request may hold that connection.
        assert one.do("obey") == []
        assert left(folder) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00"])
def test_a_torn_or_foreign_order_harms_nobody(folder: Path, content: str) -> None:
    orders = CommandQueue(folder)
    with several(folder, 1) as (one,):
        name = orders.send(one.key, "end")
        (folder / "orders" / f"{one.key}.torn.json").write_text(content)
        (folder / "orders" / "note").write_text(content)
        (folder / "standing.json").write_text(content)
        assert len(one.do("obey")) == 1
        assert orders.wait_result(name, 5) is not None
        assert orders.overrides(A_MASTER) == {}
        orders.set_overrides(A_MASTER, paused=["background"])
        assert orders.overrides(A_MASTER) == {"paused": ["background"]}


def test_standing_orders_are_for_all_workers_of_a_master_and_end_with_it(folder: Path) -> None:
    folder.mkdir()
    orders = CommandQueue(folder)
    orders.set_overrides(A_MASTER, sizes={"interactive": 3})
    orders.set_overrides(A_MASTER, paused=["background"])
    assert CommandQueue(folder).overrides(A_MASTER) == {"sizes": {"interactive": 3}, "paused": ["background"]}
    assert orders.overrides("its successor") == {}
    orders.set_overrides("its successor", paused=[])
    assert orders.overrides("its successor") == {"paused": []}
    assert orders.overrides(A_MASTER) == {}


def test_a_standing_order_is_taken_back_alone(folder: Path) -> None:
    folder.mkdir()
    orders = CommandQueue(folder)
    orders.set_overrides(A_MASTER, sizes={"interactive": 3}, paused=["background"])
    orders.set_overrides(A_MASTER, sizes=None)
    assert orders.overrides(A_MASTER) == {"paused": ["background"]}


def test_standing_orders_given_at_the_same_time_by_processes_and_threads_all_stand(folder: Path) -> None:
    orders = CommandQueue(folder)

    def give(process: Process, number: int) -> None:
        for turn in range(20):
            process.begin("stand", f"from process {number}", turn)

    def stand(number: int) -> None:
        for turn in range(20):
            orders.set_overrides(A_MASTER, **{f"from thread {number}": turn})

    with several(folder, 2) as processes:
        threads = [threading.Thread(target=stand, args=(number,)) for number in range(2)]
        for number, one in enumerate(processes):
            give(one, number)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in processes:
            assert [one._answer() for _ in range(20)] == [None] * 20
        expected = {f"from {kind} {number}": 19 for kind in ("process", "thread") for number in range(2)}
        assert orders.overrides(A_MASTER) == expected


def make_old(folder: Path) -> None:
    before = time.time() - COMMAND_TTL - 1
    for path in (folder / "orders").iterdir():
        os.utime(path, (before, before))
