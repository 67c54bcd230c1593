"""What has happened in the fleet lately: one file of lines, written by all its processes, kept small."""

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
"""Bytes; then the file begins anew, and the one before is kept."""
MAX_SENTENCE_LENGTH = 3000
"""Characters of a sentence: a line is written in one piece, or lines of two processes could mix."""


def append(folder: Path, entries: Sequence[JsonObject]) -> None:
    """Append events; where nothing can be written, they are lost, and nothing else is."""
    lines = [json.dumps({**one, "sentence": one["sentence"][:MAX_SENTENCE_LENGTH]}) for one in entries]
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
        # Asked again: another process may have done it in this moment, and then the one before would be lost.
        if is_locked and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_name("diary.before"))


def recent(folder: Path, limit: int) -> list[JsonObject]:
    """Return the last events, the latest first."""
    found: list[JsonObject] = []
    for name in ("diary", "diary.before"):
        try:
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                one = json.loads(line)
                if isinstance(one, dict) and "at" in one:
                    found.append(one)
    found.sort(key=lambda one: one["at"], reverse=True)
    return found[:limit]


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
