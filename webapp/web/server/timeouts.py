"""Since when each connection is in its phase, and which have been in it for too long.

Every phase has one length, so a connection that enters it later leaves it later: each phase is a queue, and starting,
stopping and finding the next that is due cost the same however many there are. Loaded by Gunicorn's master; imports
nothing of ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key")
PhaseKey = TypeVar("PhaseKey")


class PhaseTimeouts(Generic[PhaseKey, Key]):
    """The deadlines of things that are in one phase at a time."""

    def __init__(self, seconds: Mapping[PhaseKey, float]) -> None:
        """Give each phase its length; in a phase that is not named there is no limit."""
        self._durations = dict(seconds)
        # A dict keeps the order of insertion, and anything can leave it at once.
        self._deadlines: dict[PhaseKey, dict[Key, float]] = {phase: {} for phase in seconds}

    def start(self, phase: PhaseKey, key: Key) -> None:
        """Begin a phase of `key`, which is in no other."""
        if phase in self._deadlines:
            self._deadlines[phase][key] = time.monotonic() + self._durations[phase]

    def stop(self, phase: PhaseKey, key: Key) -> None:
        """End a phase of `key`, if it has begun."""
        if phase in self._deadlines:
            self._deadlines[phase].pop(key, None)

    def shorten(self, phase: PhaseKey, seconds: float) -> None:
        """From now on the phase is no longer than this, also for what is in it."""
        self._durations[phase] = min(self._durations[phase], seconds)
        latest = time.monotonic() + seconds
        queue = self._deadlines[phase]
        for key, deadline in queue.items():
            queue[key] = min(deadline, latest)

    def oldest(self, phase: PhaseKey, min_age: float = 0.0) -> Key | None:
        """Return what has been in the phase for longest, if that is so many seconds."""
        for key, deadline in self._deadlines[phase].items():
            return key if deadline - self._durations[phase] + min_age <= time.monotonic() else None
        return None

    def due(self) -> list[tuple[PhaseKey, Key]]:
        """Return what has been in its phase for too long; it stays there until it is stopped."""
        now = time.monotonic()
        found: list[tuple[PhaseKey, Key]] = []
        for phase, queue in self._deadlines.items():
            for key, deadline in queue.items():
                if deadline > now:
                    break
                found.append((phase, key))
        return found

    def seconds_left(self, limit: float) -> float:
        """Return the seconds until the next is due, at most `limit`."""
        first = [next(iter(queue.values())) for queue in self._deadlines.values() if queue]
        return min(limit, max(0.0, min(first) - time.monotonic())) if first else limit
