from __future__ import annotations

from collections.abc import Callable

import pytest

from webapp.web.server import timeouts
from webapp.web.server.timeouts import PhaseTimeouts


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    clock = Clock()
    monkeypatch.setattr(timeouts, "time", clock)

    def spend(seconds: float) -> None:
        clock.now += seconds

    return spend


def test_each_is_due_when_its_phase_is_over(passing: Callable[[float], None]) -> None:
    queue: PhaseTimeouts[str, int] = PhaseTimeouts({"head": 10, "idle": 60})
    queue.start("idle", 1)
    queue.start("head", 2)
    passing(5)
    queue.start("head", 3)
    assert (queue.due(), queue.seconds_left(1), queue.seconds_left(100)) == ([], 1, 5)
    passing(5)
    assert queue.due() == [("head", 2)]
    queue.stop("head", 2)
    assert queue.seconds_left(100) == 5
    passing(50)
    assert queue.due() == [("head", 3), ("idle", 1)]


def test_what_has_been_there_for_longest_is_the_first(passing: Callable[[float], None]) -> None:
    queue: PhaseTimeouts[str, int] = PhaseTimeouts({"idle": 60})
    assert queue.oldest("idle") is None
    for number in (1, 2):
        queue.start("idle", number)
        passing(1)
    assert queue.oldest("idle") == 1
    queue.stop("idle", 1)
    assert queue.oldest("idle") == 2


def test_a_phase_that_is_shortened_is_so_for_those_in_it_and_for_later_ones(passing: Callable[[float], None]) -> None:
    queue: PhaseTimeouts[str, int] = PhaseTimeouts({"idle": 60})
    queue.start("idle", 1)
    queue.shorten("idle", 2)
    passing(1)
    queue.start("idle", 2)
    passing(1)
    assert queue.due() == [("idle", 1)]
    passing(1)
    assert queue.due() == [("idle", 1), ("idle", 2)]


def test_a_phase_without_a_limit_lasts(passing: Callable[[float], None]) -> None:
    queue: PhaseTimeouts[str, int] = PhaseTimeouts({"idle": 60})
    queue.start("handled", 1)
    passing(1e9)
    assert (queue.due(), queue.seconds_left(7)) == ([], 7)
    queue.stop("handled", 1)
