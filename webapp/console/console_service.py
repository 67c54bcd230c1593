"""The console of one app: the fleet, its history, and the actions of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError

from poolproof.capacity.advice import Demand
from poolproof.fleet.commands import CommandResult
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions.cached_read import SingleFlightCache
from webapp.console import actions as console_actions
from webapp.console import history, server_monitor
from webapp.console.actions import ActionRequest, AuditEntry
from webapp.console.demand import measure_demand
from webapp.console.diagnosis import diagnose
from webapp.console.fleet_view import FleetView, load_fleet_view
from webapp.console.history import Minute
from webapp.console.lab_reports import read_recommendation
from webapp.console.severity import Diagnosis
from webapp.errors import BusyError, ForbiddenError
from webapp.messages import message

HOUR, DAY = 3600, 24 * 3600
PAST_TTL = 20.0
"""Seconds; a row is added once a minute."""


@dataclass(frozen=True)
class ConsoleSnapshot:
    """What the overview shows: the fleet, its diagnoses, and its history; `past_error` says why there is none."""

    view: FleetView
    demand: Demand
    diagnoses: Sequence[Diagnosis]
    past: Sequence[Minute]
    past_error: str | None


class ConsoleService:
    """The console of one app; uses the database on the console lane only."""

    def __init__(
        self,
        pooling: PoolingState,
        machine: str,
        reports_dir: Path,
        *,
        is_read_only: bool,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """Query nothing yet. `on_tick` is called about once a second in one process of the fleet.

        `reports_dir` is the directory of the lab's reports.
        """
        self.reports_dir = reports_dir
        if pooling.fleet_agent is None:
            raise ValueError("A console needs a fleet directory.")
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
        """Return the present state of the fleet; no connection is used."""
        directory = self._fleet_agent.folder
        server_monitor.mark_watched(directory.path)
        return load_fleet_view(directory, self._machine, self._pooling.fleet, self._pooling.settings)

    def snapshot(self, seconds: int) -> ConsoleSnapshot:
        """Return everything, with the history of the last hour or day."""
        view = self.fleet_view()
        past_error = None
        hour: Sequence[Minute] = ()
        past: Sequence[Minute] = ()
        try:
            if view.server.error is not None:
                # A query would only take time; what was read before is still cached.
                hour, past = self._past[HOUR].stale() or (), self._past[seconds].stale() or ()
                past_error = message("History is unavailable while the database does not respond.")
            else:
                hour, past = self._past[HOUR].get(), self._past[seconds].get()
        except SQLAlchemyError as error:
            past_error = message("History is unavailable: %(error)s.", error=type(error).__name__)
        demand = measure_demand(view.processes, [minute for minute in hour if minute.machine == self._machine])
        diagnoses = diagnose(view, demand, read_recommendation(self.reports_dir))
        return ConsoleSnapshot(view, demand, diagnoses, past, past_error)

    def prepare_action(self, action: str, values: Mapping[str, str]) -> ActionRequest:
        """Check an action, and return it to be confirmed.

        Raises:
            ForbiddenError: when this console is read-only.
            DomainError: when it cannot be executed.
        """
        if self.is_read_only:
            raise ForbiddenError("This console is read-only: POOLPROOF_CONSOLE_READ_ONLY is set.")
        return console_actions.prepare(self.fleet_view(), action, values, self._pooling.fleet)

    def execute_action(self, operator: str, action_request: ActionRequest) -> CommandResult:
        """Record and execute an action; return its outcome.

        Raises:
            BusyError: when it could not be recorded; then it was not executed.
        """
        try:
            return console_actions.execute(self._pooling.console, self._fleet_agent.commands, operator, action_request)
        except SQLAlchemyError as error:
            raise BusyError(
                "The action could not be recorded, so it was not executed: the database is unavailable."
            ) from error

    def audit_entries(self) -> list[AuditEntry]:
        """Return the latest entries of the audit log."""
        with self._pooling.console.read() as connection:
            return console_actions.recent_entries(connection)

    def _read_past(self, seconds: int) -> Sequence[Minute]:
        with self._pooling.console.read() as connection:
            return history.load_minutes(connection, seconds)


def get_console_service(app: Any) -> ConsoleService:
    """Return the console of a Flask app."""
    return cast("ConsoleService", app.extensions["console_service"])
