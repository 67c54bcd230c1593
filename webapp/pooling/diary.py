"""What has happened in the fleet lately: one file of lines, written by all its processes, kept small."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from webapp.pooling.fleet import JsonObject, locked

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
