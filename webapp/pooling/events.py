"""What happened to the connections of this process that somebody may want to know an hour later."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

MAX_BUFFERED = 200
THROTTLE_INTERVAL = 10.0
"""Seconds after which the same kind of thing is worth another word."""

_events: deque[dict[str, Any]] = deque(maxlen=MAX_BUFFERED)
_last_recorded_at: dict[str, float] = {}


def record(kind: str, sentence: str, *, site: str = "") -> None:
    """Remember an event; safe in any thread. `place` is the line of code it is about, if any."""
    _events.append({"at": time.time(), "kind": kind, "sentence": sentence, "place": site})


def record_throttled(kind: str, sentence: str) -> None:
    """Remember an event that comes in crowds: the first, and one more each time it has been quiet for a while."""
    now = time.monotonic()
    if now - _last_recorded_at.get(kind, -THROTTLE_INTERVAL) >= THROTTLE_INTERVAL:
        record(kind, sentence)
    _last_recorded_at[kind] = now


def drain() -> list[dict[str, Any]]:
    """Return what happened since this was called last, the oldest first."""
    taken = []
    while _events:
        taken.append(_events.popleft())
    return taken
