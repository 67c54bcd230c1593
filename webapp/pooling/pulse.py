"""How many requests a machine's workers have served, so cheap to say that every request may, and fresh at every look.

A process's file in the fleet has two places with a hole between them; in its midst stands one number, in memory that
the process maps. What else it says there is up to half a second old, more when it is busy: too late for
whoever wants to give way to players at once.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from pathlib import Path

from webapp.pooling.fleet import SLOT, STATE, Folder

PLACE = SLOT // 2
NUMBER = struct.Struct("<Q")


class Pulse:
    """A process's own number."""

    def __init__(self, state: Path) -> None:
        """Map the hole of this process's file.

        Raises:
            OSError: when it cannot be written.
        """
        with state.open("r+b") as file:
            file.truncate(max(file.seek(0, os.SEEK_END), PLACE + mmap.PAGESIZE))
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE, offset=PLACE)

    def beat(self, count: int) -> None:
        """Say that so many requests are served."""
        # Eight bytes in their place: no lock, no system call, and no other thread meanwhile.
        NUMBER.pack_into(self._memory, 0, count)


def requests_served(folder: Folder) -> int:
    """Return what all have said that are there; it falls when one is gone."""
    served = 0
    for path in folder.path.glob(f"*{STATE}"):
        # One that has just ended, or is just beginning.
        with contextlib.suppress(OSError, struct.error), path.open("rb", buffering=0) as state:
            served += NUMBER.unpack(os.pread(state.fileno(), NUMBER.size, PLACE))[0]
    return served
