"""What an operator asks of a process of this machine: a file for each order, and its outcome beside it.

An order is for one process, which does it within a beat of its publishing thread. A standing order (the
size of a lane, a lane that is paused) is for all workers of one master, those too that start later.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webapp.pooling.fleet import Tree, read_whole, write_whole

STALE_AFTER = 60.0
"""Seconds after which an order that nobody has taken is thrown away."""
LOOK_EVERY = 0.02


class OrderError(Exception):
    """An order that cannot be carried out; the text says why."""


class Orders:
    """The orders of one fleet folder."""

    def __init__(self, folder: Path) -> None:
        """Make nothing yet."""
        self._folder = folder / "orders"
        self._standing = folder / "standing.json"

    def ask(self, key: str, deed: str, **details: Any) -> str:
        """Ask the process with this key for a deed; return the order's name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        write_whole(self._folder / f"{key}.{name}.json", {"deed": deed, **details})
        return name

    def outcome(self, name: str, within: float) -> str | None:
        """Wait for an order's outcome, so many seconds at most; None when there is none yet."""
        ends_at = time.monotonic() + within
        path = self._folder / f"{name}.done"
        while (done := read_whole(path)) is None:
            if time.monotonic() >= ends_at:
                return None
            time.sleep(LOOK_EVERY)
        path.unlink(missing_ok=True)
        return str(done["outcome"])

    def carry_out(self, key: str, obey: Callable[[Tree], str]) -> None:
        """Do what was asked of the process with this key; `obey` returns the outcome in a sentence."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name.startswith(f"{key}.") and (order := read_whole(path)) is not None:
                path.unlink(missing_ok=True)
                try:
                    outcome = obey(order)
                except OrderError as error:
                    outcome = f"Not done: {error}"
                write_whole(self._folder / f"{path.name.split('.')[1]}.done", {"outcome": outcome})
            else:
                _throw_away_when_stale(path)

    def stand(self, master: str, **changes: Any) -> None:
        """Change the standing orders of a master's workers; None takes one back."""
        present = {**self.standing(master), **changes}
        kept = {name: value for name, value in present.items() if value is not None}
        write_whole(self._standing, {"master": master, "orders": kept})

    def standing(self, master: str) -> Tree:
        """Return the standing orders of a master's workers; those of an earlier master are over."""
        found = read_whole(self._standing)
        return dict(found["orders"]) if found is not None and found["master"] == master else {}


def _throw_away_when_stale(path: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > STALE_AFTER:
            path.unlink()
