"""How many requests a machine's workers have served: cheap to say, and hardly ever more than a moment old.

A process's file in the fleet has two places with a hole between them; in its midst stands one number. What else the
process says there is up to half a second old, more when it is busy: too late for whoever wants to give way to players
at once.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import weakref
from pathlib import Path

from poolproof.fleet.registry import SLOT_SIZE, STATE_SUFFIX, FleetDirectory

COUNT_OFFSET = SLOT_SIZE // 2
COUNT_FORMAT = struct.Struct("<Q")
WRITE_INTERVAL = 0.02
"""Seconds between two words: a write costs a request more than the rest of its counting does."""


class RequestCounter:
    """A process's own number."""

    def __init__(self, state: Path) -> None:
        """Write into this process's file.

        Raises:
            OSError: when it cannot be opened.
        """
        # Not mapped into memory: on a full disk a write would be an error that nobody can catch.
        self._file = os.open(state, os.O_RDWR | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        self._next_write_at = 0.0

    def publish(self, count: int) -> None:
        """Say that so many requests are served, unless something has just been said."""
        now = time.monotonic()
        if now >= self._next_write_at:
            self._next_write_at = now + WRITE_INTERVAL
            with contextlib.suppress(OSError):
                os.pwrite(self._file, COUNT_FORMAT.pack(count), COUNT_OFFSET)


def requests_served(folder: FleetDirectory) -> int:
    """Return what all have said that are there; it falls when one is gone."""
    served = 0
    for path in folder.path.glob(f"*{STATE_SUFFIX}"):
        # One that has just ended, or is just beginning.
        with contextlib.suppress(OSError, struct.error), path.open("rb", buffering=0) as state:
            served += COUNT_FORMAT.unpack(os.pread(state.fileno(), COUNT_FORMAT.size, COUNT_OFFSET))[0]
    return served
