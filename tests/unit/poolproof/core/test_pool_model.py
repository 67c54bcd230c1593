"""No order of uses, failures, maintenance and commands costs the pool a slot, a connection, a waiter or its bounds."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from poolproof.core import wait_queue
from poolproof.health import housekeeper
from tests.unit.poolproof.core.pool_model.conductor import Conductor, ModelClock, ThreadingOfTheModel
from tests.unit.poolproof.core.pool_model.machine import PoolModel


class NoThread:
    """Stands for the housekeeper's thread: the model runs its rounds."""

    def ensure_running(self) -> None:
        pass


@pytest.fixture
def conductor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conductor]:
    conductor = Conductor(ModelClock())
    monkeypatch.setattr(time, "monotonic", conductor.clock)
    monkeypatch.setattr(wait_queue, "threading", ThreadingOfTheModel(conductor))
    monkeypatch.setattr(housekeeper, "_thread", NoThread())
    # Collections happen when the model says so, and look only at what the model has made.
    gc.collect()
    gc.freeze()
    gc.disable()
    logging.disable(logging.CRITICAL)
    yield conductor
    logging.disable(logging.NOTSET)
    gc.enable()
    gc.unfreeze()
    assert conductor.workers == []


@pytest.mark.parametrize("runs", [80, pytest.param(5000, marks=pytest.mark.soak)])
def test_no_order_of_events_costs_a_slot_a_connection_or_a_waiter(conductor: Conductor, runs: int) -> None:
    settings = hypothesis.settings(
        max_examples=runs,
        stateful_step_count=40,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    before = PoolModel.steps
    machine: Any = lambda: PoolModel(conductor)
    run_state_machine_as_test(machine, settings=settings)
    assert PoolModel.steps - before >= runs * 20
