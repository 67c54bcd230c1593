"""Players have priority: while this machine's web workers are busy, a collection delays storing its next page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from poolproof.fleet.registry import FleetDirectory
from poolproof.fleet.request_counter import requests_served

BUSY_REQUESTS_PER_SECOND = 100.0
"""Rate of requests of all workers of the machine above which a collection waits."""
SAMPLE_INTERVAL = 0.1
QUIET_PERIOD = 0.5
"""Seconds without overload after which a collection continues: in a push, all requests may wait for one commit."""
QUEUE_CHECK_INTERVAL = 0.5
"""Seconds between checks for requests that wait for a connection; workers publish that every half second."""
MAX_WAIT = 10.0
"""Seconds after which one page is stored anyway: steady traffic slows a collection down and does not stop it."""
NICENESS = 10
"""Of collecting processes: web workers get the processor first."""


def lower_process_priority() -> None:
    """Give every other process of the machine priority over this one."""
    os.nice(max(0, NICENESS - os.nice(0)))


class LoadThrottle:
    """Waits while the machine's workers are overloaded."""

    def __init__(self, directory: FleetDirectory | None) -> None:
        """Read the load from the directory of the machine's fleet; with None the load is unknown and nothing waits."""
        self._directory = directory
        self._requests = requests_served(directory) if directory is not None else 0
        self._sampled_at = self._queue_checked_at = time.monotonic()
        self._has_waiters = False

    def wait(self, is_stopping: Callable[[], bool]) -> float:
        """Wait until the workers are no longer overloaded, at most `MAX_WAIT`; return how many seconds that took."""
        started_at = time.monotonic()
        if self._directory is None or not self._is_overloaded(self._directory):
            return 0.0
        busy_at = started_at
        while (now := time.monotonic()) < busy_at + QUIET_PERIOD and now < started_at + MAX_WAIT and not is_stopping():
            time.sleep(SAMPLE_INTERVAL)
            if self._is_overloaded(self._directory):
                busy_at = time.monotonic()
        return time.monotonic() - started_at

    def _is_overloaded(self, directory: FleetDirectory) -> bool:
        now = time.monotonic()
        requests = requests_served(directory)
        new_requests, elapsed = requests - self._requests, now - self._sampled_at
        # Overload counts as soon as there are enough requests, and not only after the interval.
        is_busy = new_requests > BUSY_REQUESTS_PER_SECOND * max(elapsed, SAMPLE_INTERVAL)
        if is_busy or elapsed >= SAMPLE_INTERVAL:
            self._requests, self._sampled_at = requests, now
        if not is_busy and now - self._queue_checked_at >= QUEUE_CHECK_INTERVAL:
            self._queue_checked_at = now
            self._has_waiters = _count_waiters(directory) > 0
        return is_busy or self._has_waiters


def _count_waiters(directory: FleetDirectory) -> int:
    """Return how many requests wait for a connection."""
    return sum(
        member.status.get("lanes", {}).get("interactive", {}).get("waiting", 0)
        for member in directory.snapshot().members
    )
