"""No order of uses, failures, maintenance and commands costs the pool a slot, a connection, a waiter or its bounds."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.pool.base import _ConnectionFairy

from poolproof.core import wait_queue
from poolproof.health import housekeeper
from poolproof.runtime import clock
from tests.unit.poolproof.core.pool_model.conductor import Conductor, ModelClock, ThreadingOfTheModel
from tests.unit.poolproof.core.pool_model.machine import PoolModel
from tests.unit.poolproof.core.pool_model.watched_pool import WatchedPool

SOAK = pytest.mark.soak
STEPS = 200_000
FEW_EVENTS, MANY_EVENTS = 8, 40
"""Events of a run. Short ones come first: a fault that they find needs no shrinking, which replays thousands."""


class NoThread:
    """Stands for the housekeeper's thread: the model runs its rounds."""

    def ensure_running(self) -> None:
        pass


@pytest.fixture
def conductor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conductor]:
    conductor = Conductor(ModelClock())
    monkeypatch.setattr(time, "monotonic", conductor.clock)
    monkeypatch.setattr(clock, "since_boot", conductor.clock)
    monkeypatch.setattr(wait_queue, "threading", ThreadingOfTheModel(conductor))
    monkeypatch.setattr(housekeeper, "_thread", NoThread())
    # Collections happen when the model says so, and look only at what it has made.
    gc.collect()
    gc.freeze()
    gc.disable()
    logging.disable(logging.CRITICAL)
    yield conductor
    logging.disable(logging.NOTSET)
    gc.enable()
    gc.unfreeze()
    assert conductor.workers == [], "a thread is left over"


def run_the_model(conductor: Conductor, runs: int, events: int) -> int:
    """Run so many models, each for so many events at most; return the number of steps."""
    settings = hypothesis.settings(
        max_examples=runs,
        stateful_step_count=events,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    before, machine = WatchedPool.steps, cast("Any", partial(PoolModel, conductor))
    run_state_machine_as_test(machine, settings=settings)
    return WatchedPool.steps - before


@pytest.mark.skipif(
    not hasattr(_ConnectionFairy, "_finalizer"),
    reason="SQLAlchemy 2.0 drops a record when it is interrupted in a garbage collection; its slot comes back",
)
@pytest.mark.parametrize(("runs", "events"), [(150, FEW_EVENTS), (120, MANY_EVENTS)])
def test_no_order_of_events_costs_a_slot_a_connection_or_a_waiter(conductor: Conductor, runs: int, events: int) -> None:
    assert run_the_model(conductor, runs, events) > 1000


@SOAK
def test_no_order_of_two_hundred_thousand_events_does(conductor: Conductor) -> None:
    steps = run_the_model(conductor, 1000, FEW_EVENTS)
    while steps < STEPS:
        steps += run_the_model(conductor, 200, MANY_EVENTS)
