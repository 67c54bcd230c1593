"""An action of an operator is told as it went, whatever becomes of its audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from poolproof.errors import PoolTimeoutError
from poolproof.fleet.commands import CommandQueue
from poolproof.integrations.flask_ext import PoolingState
from webapp.console import actions

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
    assert outcome.startswith("The background lane of each worker is paused.")
    assert "The audit log says only that it was started" in outcome
    with pooling.console.read() as connection:
        (entry,) = actions.recent_entries(connection)
    assert (entry.action, entry.outcome) == (PAUSE_REQUEST.question, "started")


def test_an_action_that_cannot_be_recorded_is_not_executed(pooling: PoolingState, tmp_path: Path) -> None:
    commands = TakingQueue(tmp_path, pooling)
    with pooling.lanes.console.engine.connect(), pytest.raises(PoolTimeoutError):
        actions.execute(pooling.console, commands, "grace", PAUSE_REQUEST)
    assert commands.taken is None
