"""The clock by which it is judged how long a connection has been idle."""

from __future__ import annotations

import time

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
"""Where there is none (not on Linux), the monotonic clock stands in."""


def since_boot() -> float:
    """Return seconds on a clock that never steps back and goes on while the machine sleeps.

    The monotonic clock stands still meanwhile, so a connection that the server has closed during the night would look
    as if it had been used a moment ago.
    """
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
