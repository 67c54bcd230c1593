"""Players first: while this machine's workers are busy, a collection stores its next page later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from poolproof.fleet.registry import FleetDirectory
from poolproof.fleet.request_counter import requests_served

BUSY_REQUESTS_PER_SECOND = 100.0
"""Requests a second, by all workers of the machine, above which a collection waits."""
SAMPLE_INTERVAL = 0.1
"""Seconds."""
QUIET_PERIOD = 0.5
"""Seconds without so many requests after which it goes on: in a push, all may wait for one commit."""
QUEUE_CHECK_INTERVAL = 0.5
"""Seconds between looks whether requests wait for a connection; what workers say of it is half a second old."""
MAX_WAIT = 10.0
"""Seconds; then one page is stored all the same, so that steady traffic slows a collection down and does not end it."""
NICENESS = 10
"""Of collecting processes: who answers players gets the processor first."""


def lower_process_priority() -> None:
    """Let every other process of the machine have the processor first."""
    os.nice(max(0, NICENESS - os.nice(0)))


class LoadThrottle:
    """Waits while players are busy."""

    def __init__(self, folder: FleetDirectory | None) -> None:
        """Look into the folder of the machine's fleet; None: nobody says how busy he is, and nothing waits."""
        self._folder = folder
        self._requests = requests_served(folder) if folder is not None else 0
        self._sampled_at = self._queue_checked_at = time.monotonic()
        self._has_waiters = False

    def wait(self, is_stopping: Callable[[], bool]) -> float:
        """Return when the workers are calm, or it has been long enough; say how many seconds that took."""
        began = time.monotonic()
        if self._folder is None or not self._is_overloaded(self._folder):
            return 0.0
        busy_at = began
        while (now := time.monotonic()) < busy_at + QUIET_PERIOD and now < began + MAX_WAIT and not is_stopping():
            time.sleep(SAMPLE_INTERVAL)
            if self._is_overloaded(self._folder):
                busy_at = time.monotonic()
        return time.monotonic() - began

    def _is_overloaded(self, folder: FleetDirectory) -> bool:
        now = time.monotonic()
        requests = requests_served(folder)
        came, passed = requests - self._requests, now - self._sampled_at
        # As soon as there are enough of them, and not only when the time is over.
        is_busy = came > BUSY_REQUESTS_PER_SECOND * max(passed, SAMPLE_INTERVAL)
        if is_busy or passed >= SAMPLE_INTERVAL:
            self._requests, self._sampled_at = requests, now
        if not is_busy and now - self._queue_checked_at >= QUEUE_CHECK_INTERVAL:
            self._queue_checked_at = now
            self._has_waiters = _count_waiters(folder) > 0
        return is_busy or self._has_waiters


def _count_waiters(folder: FleetDirectory) -> int:
    """Return how many requests wait for a connection."""
    return sum(
        one.status.get("lanes", {}).get("interactive", {}).get("waiting", 0) for one in folder.snapshot().members
    )
