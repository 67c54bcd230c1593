"""What an operator is asked to confirm, and what is told of it, whatever becomes of the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from poolproof.capacity.budget import FleetSize
from poolproof.errors import PoolTimeoutError
from poolproof.fleet.commands import CommandQueue
from poolproof.integrations.flask_ext import PoolingState
from tests.unit.console.test_diagnosis import fleet, holder, worker
from webapp.console import actions
from webapp.console.actions import prepare
from webapp.errors import NotFoundError

SIZE = FleetSize(2, 8)
PAUSE_REQUEST = actions.ActionRequest("pause", "Pause the background lane?", "Imports wait.", {"lane": "background"})


class TakingQueue(CommandQueue):
    """Carries out an override, and then takes the console's only connection."""

    def __init__(self, folder: Path, pooling: PoolingState) -> None:
        super().__init__(folder)
        self._engine = pooling.lanes.console.engine
        self.taken: Connection | None = None

    def set_overrides(self, *arguments: Any, **values: Any) -> None:
        super().set_overrides(*arguments, **values)
        self.taken = self._engine.connect()


def test_an_action_that_was_executed_is_told_as_executed_when_its_outcome_cannot_be_recorded(
    pooling: PoolingState, tmp_path: Path
) -> None:
    commands = TakingQueue(tmp_path, pooling)
    outcome = actions.execute(pooling.console, commands, "grace", PAUSE_REQUEST)
    assert commands.taken is not None
    commands.taken.close()
    assert outcome.sentence.startswith("The background lane of each worker is paused.")
    assert "The audit log says only that it was started" in outcome.sentence
    with pooling.console.read() as connection:
        (entry,) = actions.recent_entries(connection)
    assert (entry.action, entry.outcome) == (PAUSE_REQUEST.question, "started")


def test_an_action_that_cannot_be_recorded_is_not_executed(pooling: PoolingState, tmp_path: Path) -> None:
    commands = TakingQueue(tmp_path, pooling)
    with pooling.lanes.console.engine.connect(), pytest.raises(PoolTimeoutError):
        actions.execute(pooling.console, commands, "grace", PAUSE_REQUEST)
    assert commands.taken is None


def test_the_question_names_the_holder_that_the_operator_has_seen_and_nobody_else() -> None:
    process = worker(1)
    seen = holder(process, checkout=100)
    values = {"process": process.key, "connection": str(seen.id), "checkout": str(seen.checkout)}
    asked = prepare(fleet(processes=[process], holders=[seen]), "end", values, SIZE)
    assert seen.name in asked.question
    assert asked.values == values
    # The same connection, lent again meanwhile.
    later = fleet(processes=[process], holders=[holder(process, checkout=101, name="GET studio.items")])
    with pytest.raises(NotFoundError, match="is back in its pool already"):
        prepare(later, "end", values, SIZE)


def test_a_holder_is_not_named_by_its_connection_alone() -> None:
    process = worker(1)
    view = fleet(processes=[process], holders=[holder(process)])
    with pytest.raises(NotFoundError):
        prepare(view, "end", {"process": process.key, "connection": str(view.holders[0].id)}, SIZE)
