"""Players first: while this machine's workers are busy, a collection stores its next page later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from webapp.pooling.fleet import Folder, Seen

BUSY = 100.0
"""Requests a second, by all workers of the machine, above which a collection waits."""
LOOKS_EVERY = 0.3
"""Seconds; what the workers say is half a second old at most."""
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
        self._requests = 0.0
        self._looked_at = 0.0

    def wait(self, is_stopping: Callable[[], bool]) -> float:
        """Return when the workers are calm, or it has been long enough; say how many seconds that took."""
        began = time.monotonic()
        while self._are_busy() and not is_stopping() and time.monotonic() - began < LONGEST_WAIT:
            time.sleep(LOOKS_EVERY)
        return time.monotonic() - began

    def _are_busy(self) -> bool:
        if self._folder is None:
            return False
        seen, now = self._folder.look(), time.monotonic()
        requests = float(seen.counted.get("requests", {}).get("count", 0))
        rate = (requests - self._requests) / max(now - self._looked_at, LOOKS_EVERY)
        self._requests, self._looked_at = requests, now
        return rate > BUSY or _waiting(seen) > 0


def _waiting(seen: Seen) -> int:
    """Return how many requests wait for a connection."""
    return sum(one.now.get("lanes", {}).get("interactive", {}).get("waiting", 0) for one in seen.members)
