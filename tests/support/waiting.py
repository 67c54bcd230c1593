"""Wait for an event, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 60.0
"""Seconds."""


def wait_until(condition: Callable[[], bool], failure: str = "what was waited for did not happen") -> None:
    """Wait for what has to happen; the end is for a machine that stands still."""
    ends_at = time.perf_counter() + TIMEOUT
    while not condition():
        assert time.perf_counter() < ends_at, failure
        time.sleep(0.002)


def wait_until_returned(pool: Any) -> None:
    """Wait until every connection is back: the housekeeper borrows one for a moment; what is kept never comes back."""
    wait_until(lambda: pool.checkedout() == 0, "a connection was not returned")
