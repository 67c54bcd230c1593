"""How long whoever is asking is still there: waiting longer than that helps nobody."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("poolproof_deadline", default=None)


def set_deadline(seconds: float) -> None:
    """Give the work of this context so many seconds from now on; a later call may only shorten it."""
    ends_at = time.monotonic() + seconds
    present = _deadline.get()
    _deadline.set(ends_at if present is None else min(present, ends_at))


@contextmanager
def without_deadline() -> Iterator[None]:
    """Have no deadline while the block runs: for requests that take as long as a file does, on the background lane."""
    token = _deadline.set(None)
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Return the seconds that are left, never less than 0; None where there is no deadline."""
    ends_at = _deadline.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def clamp(seconds: float | None) -> float:
    """Return how long to wait: `seconds` (None: for ever), or what is left where that is less."""
    bounds = [bound for bound in (seconds, remaining()) if bound is not None]
    return min(bounds, default=math.inf)
