"""Pauses between attempts: doubled each time, with jitter, so that callers that failed together do not retry together.

`webapp/web/server/supervisor.py` has a doubling of its own: it runs as a program by its path and imports nothing of
ours, so that the process that supervises stays small.
"""

from __future__ import annotations

import math
import random
import time

JITTER = 0.5
"""A pause lasts between (1 − this) and (1 + this) times what was planned."""


class Backoff:
    """The pauses of one series of attempts."""

    def __init__(self, initial: float, maximum: float = math.inf) -> None:
        """Plan `initial` seconds for the first pause, and never more than `maximum`."""
        self.planned = initial
        """Seconds of the next pause, before jitter."""
        self._maximum = maximum

    def sleep(self) -> None:
        """Pause, and plan twice as long for the next time."""
        time.sleep(self.planned * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - jitter, no secret
        self.planned = min(2 * self.planned, self._maximum)
