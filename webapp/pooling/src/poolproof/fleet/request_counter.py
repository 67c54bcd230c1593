"""How many requests a machine's workers have served: cheap to publish, and hardly ever more than a moment old.

A process's file in the fleet directory has two slots with a hole between them; in the middle of the hole is one number.
The slots are up to half a second old, more when the process is busy: too late for a process that has to give way to
requests at once.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import weakref
from pathlib import Path

from poolproof.fleet.registry import SLOT_SIZE, STATE_SUFFIX, FleetDirectory
from poolproof.runtime import fork

COUNT_OFFSET = SLOT_SIZE // 2
COUNT_FORMAT = struct.Struct("<Q")
WRITE_INTERVAL = 0.02
"""Seconds between two writes: one costs a request more than the rest of its counting does."""


class RequestCounter:
    """The number of one process."""

    def __init__(self, state: Path) -> None:
        """Write into the file `state` of this process.

        Raises:
            OSError: when it cannot be opened.
        """
        # Not mapped into memory: on a full disk a write would raise SIGBUS, which cannot be caught.
        self._file = os.open(state, os.O_RDWR | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        self._next_write_at = 0.0
        self._published = 0
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)

    def publish(self, count: int) -> None:
        """Publish that `count` requests are served, unless a number was published just before."""
        now = time.monotonic()
        # The lock keeps a lower count from being written after a higher one. Nobody waits for it: whoever has it is
        # writing, which may take as long as the disk likes.
        if now < self._next_write_at or not self._lock.acquire(blocking=False):
            return
        try:
            if count > self._published:
                self._next_write_at, self._published = now + WRITE_INTERVAL, count
                with contextlib.suppress(OSError):
                    os.pwrite(self._file, COUNT_FORMAT.pack(count), COUNT_OFFSET)
        finally:
            self._lock.release()

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()


def requests_served(folder: FleetDirectory) -> int:
    """Return the sum over all processes that have a file; it falls when one exits."""
    served = 0
    for path in folder.path.glob(f"*{STATE_SUFFIX}"):
        # A process that has just ended, or is just starting, has no number.
        with contextlib.suppress(OSError, struct.error), path.open("rb", buffering=0) as state:
            served += COUNT_FORMAT.unpack(os.pread(state.fileno(), COUNT_FORMAT.size, COUNT_OFFSET))[0]
    return served
