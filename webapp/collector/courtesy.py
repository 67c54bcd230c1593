"""Players first: while this machine's workers are busy, a collection stores its next page later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from webapp.pooling.fleet import Folder
from webapp.pooling.pulse import requests_served

BUSY = 100.0
"""Requests a second, by all workers of the machine, above which a collection waits."""
LOOKS_EVERY = 0.1
"""Seconds."""
CALM = 0.5
"""Seconds without so many requests after which it goes on: in a push, all may wait for one commit."""
ASKS_EVERY = 0.5
"""Seconds between looks whether requests wait for a connection; what workers say of it is half a second old."""
LONGEST_WAIT = 10.0
"""Seconds; then one page is stored all the same, so that steady traffic slows a collection down and does not end it."""
NICENESS = 10
"""Of collecting processes: who answers players gets the processor first."""


def be_nice() -> None:
    """Let every other process of the machine have the processor first."""
    os.nice(max(0, NICENESS - os.nice(0)))


class Courtesy:
    """Waits while players are busy."""

    def __init__(self, folder: Folder | None) -> None:
        """Look into the folder of the machine's fleet; None: nobody says how busy he is, and nothing waits."""
        self._folder = folder
        self._requests = requests_served(folder) if folder is not None else 0
        self._looked_at = self._asked_at = time.monotonic()
        self._are_waiting = False

    def wait(self, is_stopping: Callable[[], bool]) -> float:
        """Return when the workers are calm, or it has been long enough; say how many seconds that took."""
        began = time.monotonic()
        if self._folder is None or not self._are_busy(self._folder):
            return 0.0
        busy_at = began
        while (now := time.monotonic()) < busy_at + CALM and now < began + LONGEST_WAIT and not is_stopping():
            time.sleep(LOOKS_EVERY)
            if self._are_busy(self._folder):
                busy_at = time.monotonic()
        return time.monotonic() - began

    def _are_busy(self, folder: Folder) -> bool:
        now = time.monotonic()
        requests = requests_served(folder)
        came, passed = requests - self._requests, now - self._looked_at
        # As soon as there are enough of them, and not only when the time is over.
        is_busy = came > BUSY * max(passed, LOOKS_EVERY)
        if is_busy or passed >= LOOKS_EVERY:
            self._requests, self._looked_at = requests, now
        if not is_busy and now - self._asked_at >= ASKS_EVERY:
            self._asked_at = now
            self._are_waiting = _waiting(folder) > 0
        return is_busy or self._are_waiting


def _waiting(folder: Folder) -> int:
    """Return how many requests wait for a connection."""
    return sum(one.now.get("lanes", {}).get("interactive", {}).get("waiting", 0) for one in folder.look().members)
