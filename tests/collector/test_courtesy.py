"""Players first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.collector import courtesy
from webapp.collector.courtesy import Courtesy
from webapp.pooling.fleet import Folder, Seat


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "fleet")


@pytest.fixture
def worker(folder: Folder) -> Iterator[Seat]:
    seat = folder.join({"name": "worker"})
    yield seat
    seat.leave({})


def say(worker: Seat, requests: int, waiting: int = 0) -> None:
    worker.say({"requests": {"count": requests}}, {"lanes": {"interactive": {"waiting": waiting}}})


def test_without_a_fleet_nothing_waits() -> None:
    assert Courtesy(None).wait(lambda: False) < 0.1


def test_a_collection_does_not_wait_while_the_workers_are_calm(folder: Folder, worker: Seat) -> None:
    say(worker, requests=3)
    polite = Courtesy(folder)
    polite.wait(lambda: False)
    assert polite.wait(lambda: False) < 0.1


def test_a_collection_waits_while_requests_come_fast_until_they_are_served(folder: Folder, worker: Seat) -> None:
    say(worker, requests=0)
    polite = Courtesy(folder)
    polite.wait(lambda: False)
    say(worker, requests=1000)
    assert polite.wait(lambda: False) >= courtesy.LOOKS_EVERY
    assert polite.wait(lambda: False) < 0.1, "nothing more has come"


def test_a_collection_waits_while_somebody_waits_for_a_connection(
    folder: Folder, worker: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "LONGEST_WAIT", 0.5)
    say(worker, requests=1, waiting=1)
    took = Courtesy(folder).wait(lambda: False)
    assert took >= 0.5, "and goes on after a while: steady traffic does not end it"


def test_who_is_told_to_stop_waits_no_more(folder: Folder, worker: Seat) -> None:
    say(worker, requests=1, waiting=1)
    assert Courtesy(folder).wait(lambda: True) < 0.1
