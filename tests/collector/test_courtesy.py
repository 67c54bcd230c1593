"""Players first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.clock import SettableClock
from webapp.collector import courtesy
from webapp.collector.courtesy import Courtesy
from webapp.pooling.fleet import Folder, Seat
from webapp.pooling.pulse import EVERY, Pulse, requests_served


@pytest.fixture(autouse=True)
def waits_by_the_clock(clock: SettableClock, monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    """Let waits pass at once."""
    monkeypatch.setattr(time, "sleep", clock.advance)
    return clock


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "fleet")


@pytest.fixture
def worker(folder: Folder) -> Iterator[Seat]:
    seat = folder.join({"name": "worker"})
    yield seat
    seat.leave({})


@pytest.fixture
def pulse(worker: Seat) -> Pulse:
    return Pulse(worker.path)


def say_how_many_wait(worker: Seat, waiting: int) -> None:
    worker.say({}, {"lanes": {"interactive": {"waiting": waiting}}})


def test_without_a_fleet_nothing_waits() -> None:
    assert Courtesy(None).wait(lambda: False) < courtesy.CALM


def test_a_collection_does_not_wait_while_the_workers_are_calm(folder: Folder, pulse: Pulse) -> None:
    pulse.beat(1_000_000)
    polite = Courtesy(folder)
    time.sleep(EVERY)
    pulse.beat(1_000_003)
    assert polite.wait(lambda: False) == 0.0


def test_a_collection_waits_as_soon_as_requests_come_fast_and_until_they_have_ended(
    folder: Folder, pulse: Pulse
) -> None:
    polite = Courtesy(folder)
    assert polite.wait(lambda: False) == 0.0
    pulse.beat(100)
    assert polite.wait(lambda: False) >= courtesy.CALM
    assert polite.wait(lambda: False) == 0.0, "nothing more has come"


def test_a_collection_waits_as_long_as_they_come(folder: Folder, pulse: Pulse) -> None:
    polite = Courtesy(folder)
    served = count(100, 100)

    def and_more_come() -> bool:
        pulse.beat(next(served))
        return False

    pulse.beat(next(served))
    assert polite.wait(and_more_come) >= courtesy.LONGEST_WAIT, (
        "and goes on after a while: steady traffic does not end it"
    )


def test_a_collection_waits_while_somebody_waits_for_a_connection(
    folder: Folder, worker: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "ASKS_EVERY", 0.0)
    say_how_many_wait(worker, 1)
    assert Courtesy(folder).wait(lambda: False) >= courtesy.LONGEST_WAIT


def test_who_is_told_to_stop_waits_no_more(folder: Folder, pulse: Pulse) -> None:
    polite = Courtesy(folder)
    pulse.beat(1000)
    assert polite.wait(lambda: True) < courtesy.CALM


def test_a_worker_that_is_gone_is_no_longer_counted(folder: Folder, worker: Seat, pulse: Pulse) -> None:
    other = folder.join({"name": "worker"})
    Pulse(other.path).beat(7)
    pulse.beat(5)
    assert requests_served(folder) == 12
    other.leave({})
    folder.look()
    assert requests_served(folder) == 5


def test_what_a_worker_says_and_how_many_it_has_served_do_not_disturb_each_other(
    folder: Folder, worker: Seat, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.pooling.pulse.EVERY", 0.0)
    for number in range(1, 4):
        pulse.beat(number)
        worker.say({"a": number}, {})
    assert requests_served(folder) == 3
    assert folder.look().members[0].counted == {"a": 3}


def test_a_full_disk_is_no_fault_of_a_request() -> None:
    Pulse(Path("/dev/full")).beat(7)
