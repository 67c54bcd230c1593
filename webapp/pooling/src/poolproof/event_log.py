"""Recent events of the fleet: one file of lines, appended to by all its processes, rotated when it is large.

A process records events in memory (`record`), from any thread; its fleet agent drains them into the file (`append`).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from poolproof.runtime.files import JsonObject, locked

MAX_LOG_BYTES = 128 * 1024
"""Bytes; a larger file is rotated, and the one before it is kept."""
MAX_SENTENCE_LENGTH = 3000
"""Characters of a sentence: a line is written with one call, or the lines of two processes could mix."""


def append(folder: Path, entries: Sequence[JsonObject]) -> None:
    """Append events; where nothing can be written, they are lost, without an error."""
    lines = [json.dumps({**entry, "sentence": entry["sentence"][:MAX_SENTENCE_LENGTH]}) for entry in entries]
    path = folder / "diary"
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            for line in lines:
                os.write(file, f"{line}\n".encode())
            is_large = os.fstat(file).st_size > MAX_LOG_BYTES
        finally:
            os.close(file)
        if is_large:
            _rotate(path)


def _rotate(path: Path) -> None:
    with locked(path.with_name("lock"), 0.0) as is_locked:
        # Tested again under the lock: another process may have rotated meanwhile, and a second time would lose a file.
        if is_locked and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_name("diary.before"))


def recent(folder: Path, limit: int) -> list[JsonObject]:
    """Return the last events, the latest first."""
    events = [*_read_events(folder / "diary"), *_read_events(folder / "diary.before")]
    events.sort(key=lambda event: event["at"], reverse=True)
    return events[:limit]


def _read_events(path: Path) -> list[JsonObject]:
    """Return the events in a file, the latest first; a line that was cut off is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    events: list[JsonObject] = []
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "at" in event:
                events.append(event)
    return events


MAX_BUFFERED = 200
THROTTLE_INTERVAL = 10.0
"""Seconds without an event of a kind after which `record_throttled` records that kind again."""

_events: deque[dict[str, Any]] = deque(maxlen=MAX_BUFFERED)
_last_recorded_at: dict[str, float] = {}


def record(kind: str, sentence: str, *, site: str = "") -> None:
    """Record an event; safe in any thread. `site` is the line of code it is about, if any."""
    _events.append({"at": time.time(), "kind": kind, "sentence": sentence, "place": site})


def record_throttled(kind: str, sentence: str) -> bool:
    """Record an event that comes in bursts: the first of each burst only; return whether it is the first."""
    now = time.monotonic()
    is_first = now - _last_recorded_at.get(kind, -THROTTLE_INTERVAL) >= THROTTLE_INTERVAL
    if is_first:
        record(kind, sentence)
    _last_recorded_at[kind] = now
    return is_first


def drain() -> list[dict[str, Any]]:
    """Return the events since the last call, the oldest first."""
    events: list[dict[str, Any]] = []
    # Not `while _events`: another thread may take the last one in between.
    with contextlib.suppress(IndexError):
        while True:
            events.append(_events.popleft())
    return events
