"""A push that takes too long is cut off, and what it has seen until then is not lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.event_loop import run_coroutine
from webapp.lab.loadgen import load_generator
from webapp.lab.loadgen.player import CUT_OFF, PushPlan, Visit


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


def visits(port: int, ramp: float, ends_after: float) -> list[Visit]:
    now = time.monotonic()
    plan = PushPlan("127.0.0.1", port, "push", 1, [(1, 4)], now, ramp, 0.0, retry=True, ends_at=now + ends_after)
    # In another thread: the browser of other tests has an event loop in this one.
    return run_coroutine(load_generator._visit_all(plan, range(4), 4))[0]


def test_whoever_waits_when_the_time_is_over_is_cut_off_and_says_since_when(mute: int) -> None:
    visited = visits(mute, ramp=0.0, ends_after=0.3)
    assert [(visit.is_complete, visit.samples[-1].result) for visit in visited] == [(False, CUT_OFF)] * 4
    assert all(max(0.3, visit.samples[-1].sent_at) <= visit.samples[-1].ended_at for visit in visited)


def test_whoever_has_not_come_by_then_has_asked_nothing(mute: int) -> None:
    visited = visits(mute, ramp=3600.0, ends_after=0.3)
    assert [len(visit.samples) for visit in visited] == [1, 0, 0, 0]
