"""Players first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from poolproof.fleet.registry import FleetDirectory, Registration
from poolproof.fleet.request_counter import WRITE_INTERVAL, RequestCounter, requests_served
from tests.support.clock import SettableClock
from webapp.collector import load_throttle
from webapp.collector.load_throttle import LoadThrottle


@pytest.fixture(autouse=True)
def waits_by_the_clock(clock: SettableClock, monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    """Let waits pass at once."""
    monkeypatch.setattr(time, "sleep", clock.advance)
    return clock


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


@pytest.fixture
def worker(folder: FleetDirectory) -> Iterator[Registration]:
    seat = folder.register({"name": "worker"})
    yield seat
    seat.unregister({})


@pytest.fixture
def pulse(worker: Registration) -> RequestCounter:
    return RequestCounter(worker.path)


def say_how_many_wait(worker: Registration, waiting: int) -> None:
    worker.publish({}, {"lanes": {"interactive": {"waiting": waiting}}})


def test_without_a_fleet_nothing_waits() -> None:
    assert LoadThrottle(None).wait(lambda: False) < load_throttle.QUIET_PERIOD


def test_a_collection_does_not_wait_while_the_workers_are_calm(folder: FleetDirectory, pulse: RequestCounter) -> None:
    pulse.publish(1_000_000)
    polite = LoadThrottle(folder)
    time.sleep(WRITE_INTERVAL)
    pulse.publish(1_000_003)
    assert polite.wait(lambda: False) == 0.0


def test_a_collection_waits_as_soon_as_requests_come_fast_and_until_they_have_ended(
    folder: FleetDirectory, pulse: RequestCounter
) -> None:
    polite = LoadThrottle(folder)
    assert polite.wait(lambda: False) == 0.0
    pulse.publish(100)
    assert polite.wait(lambda: False) >= load_throttle.QUIET_PERIOD
    assert polite.wait(lambda: False) == 0.0, "nothing more has come"


def test_a_collection_waits_as_long_as_they_come(folder: FleetDirectory, pulse: RequestCounter) -> None:
    polite = LoadThrottle(folder)
    served = count(100, 100)

    def and_more_come() -> bool:
        pulse.publish(next(served))
        return False

    pulse.publish(next(served))
    assert polite.wait(and_more_come) >= load_throttle.MAX_WAIT, (
        "and goes on after a while: steady traffic does not end it"
    )


def test_a_collection_waits_while_somebody_waits_for_a_connection(
    folder: FleetDirectory, worker: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_throttle, "QUEUE_CHECK_INTERVAL", 0.0)
    say_how_many_wait(worker, 1)
    assert LoadThrottle(folder).wait(lambda: False) >= load_throttle.MAX_WAIT


def test_who_is_told_to_stop_waits_no_more(folder: FleetDirectory, pulse: RequestCounter) -> None:
    polite = LoadThrottle(folder)
    pulse.publish(1000)
    assert polite.wait(lambda: True) < load_throttle.QUIET_PERIOD


def test_a_worker_that_is_gone_is_no_longer_counted(
    folder: FleetDirectory, worker: Registration, pulse: RequestCounter
) -> None:
    other = folder.register({"name": "worker"})
    RequestCounter(other.path).publish(7)
    pulse.publish(5)
    assert requests_served(folder) == 12
    other.unregister({})
    folder.snapshot()
    assert requests_served(folder) == 5


def test_what_a_worker_says_and_how_many_it_has_served_do_not_disturb_each_other(
    folder: FleetDirectory, worker: Registration, pulse: RequestCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poolproof.fleet.request_counter.WRITE_INTERVAL", 0.0)
    for number in range(1, 4):
        pulse.publish(number)
        worker.publish({"a": number}, {})
    assert requests_served(folder) == 3
    assert folder.snapshot().members[0].counters == {"a": 3}


def test_a_full_disk_is_no_fault_of_a_request() -> None:
    RequestCounter(Path("/dev/full")).publish(7)
