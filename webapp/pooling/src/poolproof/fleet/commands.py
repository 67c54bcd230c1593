"""Commands of an operator to processes of this machine: a file for each command, and its result in another one.

A command is for one process, which executes it within a heartbeat of its fleet agent. An override (the size of a lane,
a lane that is suspended) is for all workers of one master, also those that start later.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolproof.runtime.files import JsonObject, locked, read_json, write_json

log = logging.getLogger(__name__)

COMMAND_TTL = 60.0
"""Seconds after which a command that no process has executed is deleted."""
POLL_INTERVAL = 0.02
OVERRIDE_LOCK_TIMEOUT = 1.0


class CommandError(Exception):
    """A command that cannot be executed; the text says why."""


@dataclass(frozen=True)
class CommandResult:
    """What a command has come to, as a sentence, and whether what it asked for is done."""

    sentence: str
    is_done: bool


class CommandQueue:
    """The commands and overrides of one fleet directory."""

    def __init__(self, folder: Path) -> None:
        """Create nothing yet."""
        self._folder = folder / "orders"
        self._overrides_path = folder / "overrides.json"

    def send(self, key: str, action: str, **arguments: Any) -> str:
        """Send a command to the process with this key; return the command's name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        write_json(self._folder / f"{key}.{name}.json", {"action": action, **arguments})
        return name

    def wait_result(self, name: str, timeout: float) -> CommandResult | None:
        """Wait for a command's result, for `timeout` seconds at most; None when there is none yet."""
        ends_at = time.monotonic() + timeout
        path = self._folder / f"{name}.done"
        while (done := read_json(path)) is None:
            if time.monotonic() >= ends_at:
                return None
            time.sleep(POLL_INTERVAL)
        path.unlink(missing_ok=True)
        return CommandResult(str(done["outcome"]), is_done=done.get("is_done") is True)

    def execute_pending(self, key: str, execute: Callable[[JsonObject], str]) -> None:
        """Execute the commands to the process with this key; `execute` returns the result as a sentence."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            # Also one to this process: its sender saw another state of things.
            if _is_stale(path):
                path.unlink(missing_ok=True)
            elif path.name.startswith(f"{key}.") and (command := read_json(path)) is not None:
                path.unlink(missing_ok=True)
                result = _execute(command, execute)
                content = {"outcome": result.sentence, "is_done": result.is_done}
                write_json(self._folder / f"{path.name.split('.')[1]}.done", content)

    def set_overrides(self, master: str, **changes: Any) -> None:
        """Change the overrides of a master's workers; None removes one.

        Raises:
            CommandError: when another process holds the lock, so that nothing was changed.
        """
        # The file is read and written as a whole: without the lock, one of two simultaneous changes would be lost.
        with locked(self._overrides_path.with_name("overrides.lock"), OVERRIDE_LOCK_TIMEOUT) as is_locked:
            if not is_locked:
                raise CommandError("Another process is changing the overrides, and does not finish.")
            overrides = {**self.overrides(master), **changes}
            remaining = {name: value for name, value in overrides.items() if value is not None}
            write_json(self._overrides_path, {"master": master, "orders": remaining})

    def overrides(self, master: str) -> JsonObject:
        """Return the overrides of a master's workers; those of an earlier master no longer apply."""
        return self.active_overrides(lambda owner: owner == master)

    def active_overrides(self, is_running: Callable[[str], bool]) -> JsonObject:
        """Return the overrides, if the master that they were made for is still running."""
        content = read_json(self._overrides_path)
        return dict(content["orders"]) if content is not None and is_running(str(content.get("master"))) else {}


def not_done(reason: object) -> CommandResult:
    """Return the result of a command that was not executed."""
    return CommandResult(f"Not done: {reason}", is_done=False)


def _execute(command: JsonObject, execute: Callable[[JsonObject], str]) -> CommandResult:
    try:
        return CommandResult(execute(command), is_done=True)
    except CommandError as error:
        return not_done(error)
    except Exception as error:
        # Its sender waits for a result, and other commands for their turn.
        log.exception("A command could not be executed")
        return not_done(f"{type(error).__name__}: {error}")


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > COMMAND_TTL
    except OSError:
        return False
