"""Looks at the database server for the whole fleet: one process does it, and only while somebody watches.

What it saw lies in a file of the fleet's folder, so that any worker can show it, also when the
server is away or all have been restarted since. It also keeps the fleet's minutes in the database.
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
"""Seconds after the last look at the console during which the server is asked every second."""
IDLE_POLL_INTERVAL = 60.0
SLOW_STATEMENTS_INTERVAL = 10.0
MAX_PENDING_MINUTES = 2000
"""Minutes of workers that wait for a database that is away."""
MAX_SAMPLES = 60


class ServerMonitor:
    """What the leader of a fleet does, about once a second."""

    def __init__(
        self, folder: FleetDirectory, console: UnitOfWork, machine: str, on_tick: Callable[[], None] | None = None
    ) -> None:
        """Ask on the console lane; nothing is asked yet. `tick` is called each time, and must not take long."""
        self._folder = folder
        self._console = console
        self._machine = machine
        self._on_tick = on_tick
        self._polled_at = -IDLE_POLL_INTERVAL
        self._slow_statements_read_at = -SLOW_STATEMENTS_INTERVAL
        self._stored_minutes: dict[str, float] = {}
        self._pending: deque[tuple[str, float, Mapping[str, Any]]] = deque(maxlen=MAX_PENDING_MINUTES)
        self._retry_at = 0.0

    def on_leader_tick(self) -> None:
        """Ask the server if it is time, and keep the minutes that have ended."""
        if self._on_tick is not None:
            # First: whatever is wrong with the database is worth to be seen elsewhere.
            self._on_tick()
        now = time.monotonic()
        every = 0.0 if is_watched(self._folder.path) else IDLE_POLL_INTERVAL
        if now - self._polled_at >= every:
            self._polled_at = now
            self._poll_server(now)
        self._store_minutes()

    def _poll_server(self, now: float) -> None:
        path = self._folder.path / "server.json"
        seen = read_json(path) or {"marks": []}
        try:
            with self._console.read() as connection:
                facts = read_server_info(connection)
                seen |= {"facts": asdict(facts), "asked_at": time.time(), "trouble": None, "error_since": None}
                if facts.flavour != "sqlite":
                    seen |= {
                        "status": server_info.read_global_status(connection),
                        "processes": server_info.read_processlist(connection),
                    }
                    if now - self._slow_statements_read_at >= SLOW_STATEMENTS_INTERVAL:
                        self._slow_statements_read_at = now
                        seen["slow"] = server_info.read_slow_statements(connection)
            seen["marks"] = _append_sample(seen["marks"], seen.get("status"))
        except SQLAlchemyError as error:
            original = getattr(error, "orig", None)
            sentence = str(original.args[-1]) if original is not None and original.args else type(error).__name__
            if not seen.get("trouble"):
                seen["error_since"] = time.time()
                event_log.record_throttled("database away", f"The database does not answer: {sentence}")
            seen |= {"trouble": sentence, "tried_at": time.time()}
        write_json(path, seen)

    def _store_minutes(self) -> None:
        present: dict[str, float] = {}
        for one in self._folder.snapshot().members:
            minute = one.status.get("strip", {}).get("minute")
            if minute is None:
                continue
            present[one.key] = minute["ended"]
            if self._stored_minutes.get(one.key) != minute["ended"]:
                self._pending.append((one.key, minute["ended"], minute))
        self._stored_minutes = present
        if not self._pending or time.monotonic() < self._retry_at:
            return
        waiting = list(self._pending)
        now = time.monotonic()
        minutes = [(key, now - ended, minute) for key, ended, minute in waiting]
        try:
            self._console.run_in_transaction(
                lambda connection: history.store_minutes(connection, self._machine, minutes)
            )
        except SQLAlchemyError as error:
            log.info("The fleet's minutes are kept later: %s", error)
            self._retry_at = now + 5.0
            return
        for kept in waiting:
            self._pending.remove(kept)


def is_watched(folder: Path) -> bool:
    """Say whether somebody has looked at the console lately."""
    try:
        return time.time() - (folder / "watched").stat().st_mtime < WATCH_TTL
    except OSError:
        return False


def mark_watched(folder: Path) -> None:
    """Let the leader know that somebody looks at the console."""
    path = folder / "watched"
    # Where nothing can be written there is no leader either who would have to know.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path)


def read_snapshot(folder: Path) -> JsonObject:
    """Return what was seen of the server last; an empty tree before the first look."""
    return read_json(folder / "server.json") or {}


def _append_sample(samples: list[list[float]], status: Mapping[str, int] | None) -> list[list[float]]:
    """Return one row a minute of the counters whose growth matters: time, clients lost, connections refused."""
    if status is None:
        return []
    now = time.time()
    if samples and (now - samples[-1][0] < IDLE_POLL_INTERVAL or samples[-1][1] > status["Aborted_clients"]):
        # Within the minute; or counted from zero again, by a server that was restarted.
        return samples if samples[-1][1] <= status["Aborted_clients"] else []
    return [*samples[-MAX_SAMPLES + 1 :], [now, status["Aborted_clients"], status["Connection_errors_max_connections"]]]
