"""How many requests the processes of a machine have served, in one number of each one's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolproof.fleet.registry import FleetDirectory
from poolproof.fleet.request_counter import WRITE_INTERVAL, RequestCounter, requests_served
from tests.support.clock import SettableClock


@pytest.fixture
def directory(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


def test_the_numbers_of_all_processes_are_added(directory: FleetDirectory) -> None:
    members = [directory.register({"name": "worker"}) for _ in range(2)]
    for member, count in zip(members, (3, 40), strict=True):
        RequestCounter(member.path).publish(count)
    assert requests_served(directory) == 43
    members[0].unregister({})
    members[1].unregister({})


def test_a_number_does_not_disturb_what_else_the_process_publishes(directory: FleetDirectory) -> None:
    member = directory.register({"name": "worker"})
    counter = RequestCounter(member.path)
    counter.publish(2**40)
    member.publish({"count": 1}, {"doing": "this"})
    member.publish({"count": 2}, {"doing": "that"})
    (seen,) = directory.snapshot().members
    assert (seen.counters, seen.status) == ({"count": 2}, {"doing": "that"})
    assert requests_served(directory) == 2**40
    member.unregister({})


def test_a_number_is_written_once_in_an_interval(directory: FleetDirectory, clock: SettableClock) -> None:
    clock.stop()
    member = directory.register({"name": "worker"})
    counter = RequestCounter(member.path)
    counter.publish(1)
    counter.publish(2)
    assert requests_served(directory) == 1
    clock.advance(WRITE_INTERVAL)
    counter.publish(3)
    assert requests_served(directory) == 3
    member.unregister({})


def test_a_process_that_has_served_nothing_yet_counts_nothing(directory: FleetDirectory) -> None:
    member = directory.register({"name": "worker"})
    assert requests_served(directory) == 0
    member.unregister({})
    assert requests_served(FleetDirectory(directory.path / "missing")) == 0


def test_a_number_that_comes_late_does_not_replace_a_later_one(directory: FleetDirectory, clock: SettableClock) -> None:
    clock.stop()
    member = directory.register({"name": "worker"})
    counter = RequestCounter(member.path)
    counter.publish(5)
    clock.advance(WRITE_INTERVAL)
    counter.publish(4)
    assert requests_served(directory) == 5
    member.unregister({})
