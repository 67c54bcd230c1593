"""What has happened in the fleet lately: one file of lines, written by all its processes, kept small."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from webapp.pooling.fleet import Tree, locked

LARGEST = 128 * 1024
"""Bytes; then the file begins anew, and the one before is kept."""
LONGEST_LINE = 3000
"""Characters of a sentence: a line is written in one piece, or lines of two processes could mix."""


def write(folder: Path, happened: Sequence[Tree]) -> None:
    """Append events; where nothing can be written, they are lost, and nothing else is."""
    lines = [json.dumps({**one, "sentence": one["sentence"][:LONGEST_LINE]}) for one in happened]
    path = folder / "diary"
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            for line in lines:
                os.write(file, f"{line}\n".encode())
            is_large = os.fstat(file).st_size > LARGEST
        finally:
            os.close(file)
        if is_large:
            _begin_anew(path)


def _begin_anew(path: Path) -> None:
    with locked(path.with_name("lock"), 0.0) as is_locked:
        # Asked again: another process may have done it in this moment, and then the one before would be lost.
        if is_locked and path.stat().st_size > LARGEST:
            path.replace(path.with_name("diary.before"))


def read(folder: Path, most: int) -> list[Tree]:
    """Return the last events, the latest first."""
    found: list[Tree] = []
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
    return found[:most]
