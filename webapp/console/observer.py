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

from webapp.console import history
from webapp.pooling import events, load
from webapp.pooling.fleet import Folder, Tree, read_whole, write_whole
from webapp.pooling.server import read_facts
from webapp.pooling.work import Work

log = logging.getLogger(__name__)

WATCHED_FOR = 30.0
"""Seconds after the last look at the console during which the server is asked every second."""
OTHERWISE_EVERY = 60.0
SLOW_EVERY = 10.0
MOST_PENDING = 2000
"""Minutes of workers that wait for a database that is away."""
MARKS = 60


class Observer:
    """What the leader of a fleet does, about once a second."""

    def __init__(self, folder: Folder, console: Work, machine: str, tick: Callable[[], None] | None = None) -> None:
        """Ask on the console lane; nothing is asked yet. `tick` is called each time, and must not take long."""
        self._folder = folder
        self._console = console
        self._machine = machine
        self._tick = tick
        self._looked_at = -OTHERWISE_EVERY
        self._slow_at = -SLOW_EVERY
        self._kept: dict[str, float] = {}
        self._pending: deque[tuple[str, float, Mapping[str, Any]]] = deque(maxlen=MOST_PENDING)
        self._pending_from = 0.0

    def lead(self) -> None:
        """Ask the server if it is time, and keep the minutes that have ended."""
        if self._tick is not None:
            # First: whatever is wrong with the database is worth to be seen elsewhere.
            self._tick()
        now = time.monotonic()
        every = 0.0 if is_watched(self._folder.path) else OTHERWISE_EVERY
        if now - self._looked_at >= every:
            self._looked_at = now
            self._look_at_server(now)
        self._keep_minutes()

    def _look_at_server(self, now: float) -> None:
        path = self._folder.path / "server.json"
        seen = read_whole(path) or {"marks": []}
        try:
            with self._console.read() as connection:
                facts = read_facts(connection)
                seen |= {"facts": asdict(facts), "asked_at": time.time(), "trouble": None, "trouble_since": None}
                if facts.flavour != "sqlite":
                    seen |= {"status": load.status(connection), "processes": load.processes(connection)}
                    if now - self._slow_at >= SLOW_EVERY:
                        self._slow_at = now
                        seen["slow"] = load.slow_statements(connection)
            seen["marks"] = _marked(seen["marks"], seen.get("status"))
        except SQLAlchemyError as error:
            original = getattr(error, "orig", None)
            sentence = str(original.args[-1]) if original is not None and original.args else type(error).__name__
            if not seen.get("trouble"):
                seen["trouble_since"] = time.time()
                events.note_now_and_then("database away", f"The database does not answer: {sentence}")
            seen |= {"trouble": sentence, "tried_at": time.time()}
        write_whole(path, seen)

    def _keep_minutes(self) -> None:
        present: dict[str, float] = {}
        for one in self._folder.look().members:
            minute = one.now.get("strip", {}).get("minute")
            if minute is None:
                continue
            present[one.key] = minute["ended"]
            if self._kept.get(one.key) != minute["ended"]:
                self._pending.append((one.key, minute["ended"], minute))
        self._kept = present
        if not self._pending or time.monotonic() < self._pending_from:
            return
        waiting = list(self._pending)
        now = time.monotonic()
        minutes = [(key, now - ended, minute) for key, ended, minute in waiting]
        try:
            self._console.transact(lambda connection: history.keep(connection, self._machine, minutes))
        except SQLAlchemyError as error:
            log.info("The fleet's minutes are kept later: %s", error)
            self._pending_from = now + 5.0
            return
        for kept in waiting:
            self._pending.remove(kept)


def is_watched(folder: Path) -> bool:
    """Say whether somebody has looked at the console lately."""
    try:
        return time.time() - (folder / "watched").stat().st_mtime < WATCHED_FOR
    except OSError:
        return False


def watch(folder: Path) -> None:
    """Let the leader know that somebody looks at the console."""
    path = folder / "watched"
    # Where nothing can be written there is no leader either who would have to know.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path)


def last_seen(folder: Path) -> Tree:
    """Return what was seen of the server last; an empty tree before the first look."""
    return read_whole(folder / "server.json") or {}


def _marked(marks: list[list[float]], status: Mapping[str, int] | None) -> list[list[float]]:
    """Return one row a minute of the counters whose growth matters: time, clients lost, connections refused."""
    if status is None:
        return []
    now = time.time()
    if marks and (now - marks[-1][0] < OTHERWISE_EVERY or marks[-1][1] > status["Aborted_clients"]):
        # Within the minute; or counted from zero again, by a server that was restarted.
        return marks if marks[-1][1] <= status["Aborted_clients"] else []
    return [*marks[-MARKS + 1 :], [now, status["Aborted_clients"], status["Connection_errors_max_connections"]]]
