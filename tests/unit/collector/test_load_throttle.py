"""A collection waits while the machine's workers are busy."""

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
def directory(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


@pytest.fixture
def worker(directory: FleetDirectory) -> Iterator[Registration]:
    registration = directory.register({"name": "worker"})
    yield registration
    registration.unregister({})


@pytest.fixture
def counter(worker: Registration) -> RequestCounter:
    return RequestCounter(worker.path)


def publish_waiting(worker: Registration, waiting: int) -> None:
    worker.publish({}, {"lanes": {"interactive": {"waiting": waiting}}})


def test_without_a_fleet_nothing_waits() -> None:
    assert LoadThrottle(None).wait(lambda: False) < load_throttle.QUIET_PERIOD


def test_a_collection_does_not_wait_while_the_workers_are_calm(
    directory: FleetDirectory, counter: RequestCounter
) -> None:
    counter.publish(1_000_000)
    throttle = LoadThrottle(directory)
    time.sleep(WRITE_INTERVAL)
    counter.publish(1_000_003)
    assert throttle.wait(lambda: False) == 0.0


def test_a_collection_waits_as_soon_as_requests_come_fast_and_until_they_have_ended(
    directory: FleetDirectory, counter: RequestCounter
) -> None:
    throttle = LoadThrottle(directory)
    assert throttle.wait(lambda: False) == 0.0
    counter.publish(100)
    assert throttle.wait(lambda: False) >= load_throttle.QUIET_PERIOD
    assert throttle.wait(lambda: False) == 0.0, "nothing more has come"


def test_a_collection_waits_as_long_as_they_come(directory: FleetDirectory, counter: RequestCounter) -> None:
    throttle = LoadThrottle(directory)
    served = count(100, 100)

    def serve_more() -> bool:
        counter.publish(next(served))
        return False

    counter.publish(next(served))
    assert throttle.wait(serve_more) >= load_throttle.MAX_WAIT, (
        "and continues after a while: steady traffic does not end it"
    )


def test_a_collection_waits_while_somebody_waits_for_a_connection(
    directory: FleetDirectory, worker: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_throttle, "QUEUE_CHECK_INTERVAL", 0.0)
    publish_waiting(worker, 1)
    assert LoadThrottle(directory).wait(lambda: False) >= load_throttle.MAX_WAIT


def test_who_is_told_to_stop_waits_no_more(directory: FleetDirectory, counter: RequestCounter) -> None:
    throttle = LoadThrottle(directory)
    counter.publish(1000)
    assert throttle.wait(lambda: True) < load_throttle.QUIET_PERIOD


def test_a_worker_that_is_gone_is_no_longer_counted(
    directory: FleetDirectory, worker: Registration, counter: RequestCounter
) -> None:
    other = directory.register({"name": "worker"})
    RequestCounter(other.path).publish(7)
    counter.publish(5)
    assert requests_served(directory) == 12
    other.unregister({})
    directory.snapshot()
    assert requests_served(directory) == 5


def test_what_a_worker_says_and_how_many_it_has_served_do_not_disturb_each_other(
    directory: FleetDirectory, worker: Registration, counter: RequestCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poolproof.fleet.request_counter.WRITE_INTERVAL", 0.0)
    for number in range(1, 4):
        counter.publish(number)
        worker.publish({"a": number}, {})
    assert requests_served(directory) == 3
    assert directory.snapshot().members[0].counters == {"a": 3}


def test_a_full_disk_is_no_fault_of_a_request() -> None:
    RequestCounter(Path("/dev/full")).publish(7)
