"""When the operations of an open loop begin."""

from __future__ import annotations

import random

import pytest

from poolproof.lab.loadgen.load_profile import TimedOperation, poisson_arrivals


def test_arrivals_come_at_the_rate_within_the_time_and_in_order() -> None:
    arrivals = poisson_arrivals(random.Random(1), rate=100, seconds=50, starts_at=1000.0)
    assert len(arrivals) == pytest.approx(5000, rel=0.05)
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 1000
    assert arrivals[-1] < 1050


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert poisson_arrivals(random.Random(7), 10, 5) == poisson_arrivals(random.Random(7), 10, 5)


def test_an_operation_ends_its_seconds_after_the_intended_start() -> None:
    assert TimedOperation(10.0, 0.5).end == 10.5
