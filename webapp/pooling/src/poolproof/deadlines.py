"""The deadline of the present context, usually a request: no wait for a connection lasts longer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

_deadline: ContextVar[float | None] = ContextVar("poolproof_deadline", default=None)


def set_deadline(seconds: float) -> None:
    """Set the deadline of this context to `seconds` from now; a later call may only shorten it."""
    ends_at = time.monotonic() + seconds
    current = _deadline.get()
    _deadline.set(ends_at if current is None else min(current, ends_at))


def replace_deadline(seconds: float) -> Token[float | None]:
    """Set the deadline of this context to `seconds` from now, whatever it was; return what `restore_deadline` takes."""
    return _deadline.set(time.monotonic() + seconds)


def restore_deadline(token: Token[float | None]) -> None:
    """Restore the deadline that was there before `replace_deadline`."""
    _deadline.reset(token)


def lift_deadline() -> None:
    """Remove the deadline of this context: what follows may take any time."""
    _deadline.set(None)


@contextmanager
def without_deadline() -> Iterator[None]:
    """Suspend the deadline while the block runs: for requests as long as a file, on the background lane."""
    token = _deadline.set(None)
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Return the seconds until the deadline, never less than 0; None where there is none."""
    ends_at = _deadline.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def clamp(seconds: float | None) -> float:
    """Return how long to wait: `seconds` (None: for ever), or until the deadline where that is sooner."""
    bounds = [bound for bound in (seconds, remaining()) if bound is not None]
    return min(bounds, default=math.inf)
