"""Polls the database server for the whole fleet: the leader does it, often only while the console is open.

The result is in a file of the fleet's directory, so that every worker can show it, also when the
server is unavailable or the workers were restarted since. It also stores the fleet's minutes in the database.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from poolproof import event_log
from poolproof.capacity import server_info
from poolproof.capacity.server_info import read_server_info
from poolproof.fleet.registry import FleetDirectory
from poolproof.runtime.files import JsonObject, read_json, write_json
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.console import history

log = logging.getLogger(__name__)

WATCH_TTL = 30.0
"""Seconds after the last request of the console during which the server is polled every second."""
IDLE_POLL_INTERVAL = 60.0
SLOW_STATEMENTS_INTERVAL = 10.0
MAX_PENDING_MINUTES = 2000
"""Minutes of workers that wait for a database that is unavailable."""
MAX_SAMPLES = 60


class ServerMonitor:
    """The work of a fleet's leader, about once a second."""

    def __init__(
        self, directory: FleetDirectory, console: UnitOfWork, machine: str, on_tick: Callable[[], None] | None = None
    ) -> None:
        """Poll on the console lane; no query is made yet. `on_tick` is called each time, and must not take long."""
        self._directory = directory
        self._console = console
        self._machine = machine
        self._on_tick = on_tick
        self._polled_at = -IDLE_POLL_INTERVAL
        self._slow_statements_read_at = -SLOW_STATEMENTS_INTERVAL
        self._stored_minutes: dict[str, float] = {}
        self._pending: deque[tuple[str, float, Mapping[str, Any]]] = deque(maxlen=MAX_PENDING_MINUTES)
        self._retry_at = 0.0

    def on_leader_tick(self) -> None:
        """Poll the server if it is time, and store the minutes that have ended."""
        if self._on_tick is not None:
            # First, so that metrics are exported also while the database does not respond.
            self._on_tick()
        now = time.monotonic()
        interval = 0.0 if is_watched(self._directory.path) else IDLE_POLL_INTERVAL
        if now - self._polled_at >= interval:
            self._polled_at = now
            self._poll_server(now)
        self._store_minutes()

    def _poll_server(self, now: float) -> None:
        path = self._directory.path / "server.json"
        snapshot = {"samples": [], **(read_json(path) or {})}
        try:
            with self._console.read() as connection:
                facts = read_server_info(connection)
                snapshot |= {"facts": asdict(facts), "polled_at": time.time(), "error": None, "error_since": None}
                if facts.flavour != "sqlite":
                    snapshot |= {
                        "status": server_info.read_global_status(connection),
                        "processes": server_info.read_processlist(connection),
                    }
                    if now - self._slow_statements_read_at >= SLOW_STATEMENTS_INTERVAL:
                        self._slow_statements_read_at = now
                        snapshot["slow_statements"] = server_info.read_slow_statements(connection)
            snapshot["samples"] = _append_sample(snapshot["samples"], snapshot.get("status"))
        except SQLAlchemyError as error:
            original = getattr(error, "orig", None)
            message = str(original.args[-1]) if original is not None and original.args else type(error).__name__
            if not snapshot.get("error"):
                snapshot["error_since"] = time.time()
                event_log.record_throttled("database away", f"The database does not respond: {message}")
            snapshot |= {"error": message, "failed_at": time.time()}
        write_json(path, snapshot)

    def _store_minutes(self) -> None:
        self._collect_minutes()
        if not self._pending or time.monotonic() < self._retry_at:
            return
        batch = list(self._pending)
        now = time.monotonic()
        minutes = [(key, now - ended, minute) for key, ended, minute in batch]
        try:
            self._console.run_in_transaction(
                lambda connection: history.store_minutes(connection, self._machine, minutes)
            )
        except SQLAlchemyError as error:
            log.info("The fleet's minutes are stored later: %s", error)
            self._retry_at = now + 5.0
            return
        for stored in batch:
            self._pending.remove(stored)

    def _collect_minutes(self) -> None:
        """Queue the minutes that have ended since the last tick."""
        ended_minutes: dict[str, float] = {}
        for member in self._directory.snapshot().members:
            minute = member.status.get("strip", {}).get("minute")
            if minute is None:
                continue
            ended_minutes[member.key] = minute["ended"]
            if self._stored_minutes.get(member.key) != minute["ended"]:
                self._pending.append((member.key, minute["ended"], minute))
        self._stored_minutes = ended_minutes


def is_watched(directory: Path) -> bool:
    """Return whether the console has been open lately."""
    try:
        return time.time() - (directory / "watched").stat().st_mtime < WATCH_TTL
    except OSError:
        return False


def mark_watched(directory: Path) -> None:
    """Record for the leader that the console is open."""
    path = directory / "watched"
    # Where the file cannot be written there is no leader either that would read it.
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path)


def read_snapshot(directory: Path) -> JsonObject:
    """Return the latest poll of the server; empty before the first one."""
    return read_json(directory / "server.json") or {}


def _append_sample(samples: list[list[float]], status: Mapping[str, int] | None) -> list[list[float]]:
    """Return one row a minute of the counters whose growth matters: time, clients lost, connections refused."""
    if status is None:
        return []
    now = time.time()
    if samples and (now - samples[-1][0] < IDLE_POLL_INTERVAL or samples[-1][1] > status["Aborted_clients"]):
        # Within the minute; or counted from zero again, by a server that was restarted.
        return samples if samples[-1][1] <= status["Aborted_clients"] else []
    return [*samples[-MAX_SAMPLES + 1 :], [now, status["Aborted_clients"], status["Connection_errors_max_connections"]]]
