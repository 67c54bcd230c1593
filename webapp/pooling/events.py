"""What happened to the connections of this process that somebody may want to know an hour later."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

REMEMBERED = 200
QUIET_FOR = 10.0
"""Seconds after which the same kind of thing is worth another word."""

_events: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
_last: dict[str, float] = {}


def note(kind: str, sentence: str, *, place: str = "") -> None:
    """Remember an event; safe in any thread. `place` is the line of code it is about, if any."""
    _events.append({"at": time.time(), "kind": kind, "sentence": sentence, "place": place})


def note_now_and_then(kind: str, sentence: str) -> None:
    """Remember an event that comes in crowds: the first, and one more each time it has been quiet for a while."""
    now = time.monotonic()
    if now - _last.get(kind, -QUIET_FOR) >= QUIET_FOR:
        note(kind, sentence)
    _last[kind] = now


def take() -> list[dict[str, Any]]:
    """Return what happened since this was called last, the oldest first."""
    taken = []
    while _events:
        taken.append(_events.popleft())
    return taken
