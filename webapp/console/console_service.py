"""What one process needs to show the console: the fleet, its past, and the deeds; all for one app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError

from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.cached_read import SingleFlightCache
from webapp.console import actions as console_actions
from webapp.console import history, server_monitor
from webapp.console.actions import ActionRequest, AuditEntry
from webapp.console.demand import Demand, measure_demand
from webapp.console.diagnosis import Diagnosis, diagnose
from webapp.console.fleet_view import FleetView, load_fleet_view
from webapp.console.history import Minute
from webapp.console.lab_reports import read_recommendation
from webapp.errors import BusyError, ForbiddenError

HOUR, DAY = 3600, 24 * 3600
PAST_TTL = 20.0
"""Seconds; a minute's row comes once a minute."""


@dataclass(frozen=True)
class ConsoleSnapshot:
    """What the overview shows: the fleet, what is said of it, and its past; `past_error` says why there is none."""

    view: FleetView
    demand: Demand
    diagnoses: Sequence[Diagnosis]
    past: Sequence[Minute]
    past_error: str | None


class ConsoleService:
    """The console of one app; asks the database on the console lane only."""

    def __init__(
        self,
        pooling: PoolingState,
        machine: str,
        reports_dir: Path,
        *,
        is_read_only: bool,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """Ask nothing yet. `tick` is called about once a second in one process of the fleet.

        `reports` is the folder where the lab keeps what it has measured.
        """
        self.reports_dir = reports_dir
        if pooling.fleet_agent is None:
            raise ValueError("A console needs a folder in which the fleet meets.")
        self.is_read_only = is_read_only
        self._pooling = pooling
        self._machine = machine
        self._fleet_agent = pooling.fleet_agent
        self._fleet_agent.on_leader_tick = server_monitor.ServerMonitor(
            self._fleet_agent.folder, pooling.console, machine, on_tick
        ).on_leader_tick
        self._past = {
            seconds: SingleFlightCache(partial(self._read_past, seconds), PAST_TTL) for seconds in (HOUR, DAY)
        }

    def fleet_view(self) -> FleetView:
        """Return the fleet as it is; no connection is used."""
        folder = self._fleet_agent.folder
        server_monitor.mark_watched(folder.path)
        return load_fleet_view(folder, self._machine, self._pooling.fleet, self._pooling.settings)

    def snapshot(self, seconds: int) -> ConsoleSnapshot:
        """Return everything, with the past of the last hour or day."""
        seen = self.fleet_view()
        trouble = None
        hour: Sequence[Minute] = ()
        past: Sequence[Minute] = ()
        try:
            if seen.server.error is not None:
                # It would only take time; what was read before is still there.
                hour, past = self._past[HOUR].stale() or (), self._past[seconds].stale() or ()
                trouble = "The past cannot be read while the database is away."
            else:
                hour, past = self._past[HOUR].get(), self._past[seconds].get()
        except SQLAlchemyError as error:
            trouble = f"The past cannot be read just now: {type(error).__name__}."
        needs = measure_demand(seen.processes, [one for one in hour if one.machine == self._machine])
        return ConsoleSnapshot(seen, needs, diagnose(seen, needs, read_recommendation(self.reports_dir)), past, trouble)

    def prepare_action(self, action: str, values: Mapping[str, str]) -> ActionRequest:
        """Return what was asked for, checked and in words.

        Raises:
            ForbiddenError: when this console only shows.
            DomainError: when it cannot be done.
        """
        if self.is_read_only:
            raise ForbiddenError("This console changes nothing: POOLPROOF_CONSOLE_READ_ONLY is set.")
        return console_actions.prepare(self.fleet_view(), action, values, self._pooling.fleet)

    def execute_action(self, operator: str, action_request: ActionRequest) -> str:
        """Do what was asked for, on the record; return what came of it.

        Raises:
            BusyError: when it could not be written down; then nothing was done.
        """
        try:
            return console_actions.execute(self._pooling.console, self._fleet_agent.commands, operator, action_request)
        except SQLAlchemyError as error:
            raise BusyError("The deed could not be written down, so nothing was done: the database is away.") from error

    def audit_entries(self) -> list[AuditEntry]:
        """Return what operators have done lately."""
        with self._pooling.console.read() as connection:
            return console_actions.recent_entries(connection)

    def _read_past(self, seconds: int) -> Sequence[Minute]:
        with self._pooling.console.read() as connection:
            return history.load_minutes(connection, seconds)


def get_console_service(app: Any) -> ConsoleService:
    """Return the console of a Flask app."""
    return cast("ConsoleService", app.extensions["console_service"])
