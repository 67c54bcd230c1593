"""Pauses that double, up to a maximum, each with jitter."""

from __future__ import annotations

import time

import pytest

from poolproof.runtime.backoff import JITTER, Backoff


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of pauses that were made; none of them takes any time."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def test_each_pause_is_planned_twice_as_long_as_the_one_before(pauses: list[float]) -> None:
    backoff = Backoff(0.1)
    planned = []
    for _ in range(4):
        planned.append(backoff.planned)
        backoff.sleep()
    assert planned == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert all(abs(made - plan) <= JITTER * plan for made, plan in zip(pauses, planned, strict=True))


def test_no_pause_is_planned_longer_than_the_maximum(pauses: list[float]) -> None:
    backoff = Backoff(1.0, maximum=3.0)
    for _ in range(5):
        backoff.sleep()
    assert backoff.planned == 3.0
    assert max(pauses) <= 3.0 * (1 + JITTER)


def test_those_who_failed_together_do_not_come_back_together(pauses: list[float]) -> None:
    for _ in range(20):
        Backoff(1.0).sleep()
    assert len(set(pauses)) > 10
