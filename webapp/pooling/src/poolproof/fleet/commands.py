"""What an operator asks of a process of this machine: a file for each order, and its outcome beside it.

An order is for one process, which does it within a beat of its publishing thread. A standing order (the
size of a lane, a lane that is paused) is for all workers of one master, those too that start later.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from poolproof.runtime.files import JsonObject, locked, read_json, write_json

log = logging.getLogger(__name__)

COMMAND_TTL = 60.0
"""Seconds after which an order that nobody has taken is thrown away."""
POLL_INTERVAL = 0.02
OVERRIDE_LOCK_TIMEOUT = 1.0


class CommandError(Exception):
    """An order that cannot be carried out; the text says why."""


class CommandQueue:
    """The orders of one fleet folder."""

    def __init__(self, folder: Path) -> None:
        """Make nothing yet."""
        self._folder = folder / "orders"
        self._overrides_path = folder / "standing.json"

    def send(self, key: str, action: str, **arguments: Any) -> str:
        """Ask the process with this key for a deed; return the order's name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        write_json(self._folder / f"{key}.{name}.json", {"deed": action, **arguments})
        return name

    def wait_result(self, name: str, timeout: float) -> str | None:
        """Wait for an order's outcome, so many seconds at most; None when there is none yet."""
        ends_at = time.monotonic() + timeout
        path = self._folder / f"{name}.done"
        while (done := read_json(path)) is None:
            if time.monotonic() >= ends_at:
                return None
            time.sleep(POLL_INTERVAL)
        path.unlink(missing_ok=True)
        return str(done["outcome"])

    def execute_pending(self, key: str, execute: Callable[[JsonObject], str]) -> None:
        """Do what was asked of the process with this key; `obey` returns the outcome in a sentence."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            # Also one that is for this process: who asked long ago has seen another state of things.
            if _is_stale(path):
                path.unlink(missing_ok=True)
            elif path.name.startswith(f"{key}.") and (order := read_json(path)) is not None:
                path.unlink(missing_ok=True)
                outcome = _execute(order, execute)
                write_json(self._folder / f"{path.name.split('.')[1]}.done", {"outcome": outcome})

    def set_overrides(self, master: str, **changes: Any) -> None:
        """Change the standing orders of a master's workers; None takes one back.

        Raises:
            CommandError: when another process holds them up, so that nothing was changed.
        """
        # Two operators may change different things at the same time; without the lock one change would be lost.
        with locked(self._overrides_path.with_name("standing.lock"), OVERRIDE_LOCK_TIMEOUT) as is_locked:
            if not is_locked:
                raise CommandError("Another process is changing the standing orders, and does not come to an end.")
            present = {**self.overrides(master), **changes}
            kept = {name: value for name, value in present.items() if value is not None}
            write_json(self._overrides_path, {"master": master, "orders": kept})

    def overrides(self, master: str) -> JsonObject:
        """Return the standing orders of a master's workers; those of an earlier master are over."""
        return self.active_overrides(lambda given: given == master)

    def active_overrides(self, is_running: Callable[[str], bool]) -> JsonObject:
        """Return the standing orders if the master whose operator gave them is still running."""
        found = read_json(self._overrides_path)
        return dict(found["orders"]) if found is not None and is_running(str(found.get("master"))) else {}


def _execute(command: JsonObject, execute: Callable[[JsonObject], str]) -> str:
    try:
        return execute(command)
    except CommandError as error:
        return f"Not done: {error}"
    except Exception as error:
        # Whoever asked waits for a word, and other orders for their turn.
        log.exception("An order could not be carried out")
        return f"Not done: {type(error).__name__}: {error}"


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > COMMAND_TTL
    except OSError:
        return False
