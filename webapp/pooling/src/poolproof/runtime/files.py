"""JSON files and locks that the processes of one machine share."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poolproof.runtime import fork

LOCK_POLL_INTERVAL = 0.002

JsonObject = dict[str, Any]

_lock_files: weakref.WeakSet[io.FileIO] = weakref.WeakSet()


def write_json(path: Path, tree: JsonObject) -> None:
    """Replace a file's content as a whole: a reader sees the old object or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}")
    draft.write_text(json.dumps(tree, separators=(",", ":")), encoding="utf-8")
    draft.replace(path)


def read_json(path: Path, max_bytes: int | None = None) -> JsonObject | None:
    """Return the object in a file; None when there is none, or the file is not JSON or larger than that."""
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def try_lock(path: Path) -> io.FileIO | None:
    """Take a lock that one process of the machine may have; return the open file that holds it, None if it is taken."""
    file = path.open("ab", buffering=0)
    if _acquire_lock(file.fileno(), 0.0):
        _lock_files.add(file)
        return file
    file.close()
    return None


def open_locked(path: Path) -> io.FileIO:
    """Create a file and lock it until it is closed or the process ends; return it, open for writing."""
    file = path.open("w+b", buffering=0)
    _lock_files.add(file)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Iterator[bool]:
    """Hold a lock of the whole machine; yield whether it was acquired within `timeout` seconds."""
    with path.open("ab") as lock:
        is_locked = _acquire_lock(lock.fileno(), timeout)
        try:
            yield is_locked
        finally:
            # Closing is not enough: a child that was forked meanwhile has a copy of the file.
            fcntl.flock(lock, fcntl.LOCK_UN)


def _acquire_lock(file: int, timeout: float) -> bool:
    ends_at = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                return False
            time.sleep(LOCK_POLL_INTERVAL)
        else:
            return True


def is_locked(path: Path) -> bool:
    """Say whether a process of this machine holds the lock of this file."""
    try:
        with path.open("rb") as state:
            fcntl.flock(state, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Removed in this moment: its process was dead.
        return False
    return False


def _close_inherited_locks() -> None:
    # A child holds a lock as long as its copy of the file is open: a dead parent would seem to live, or to lead.
    for file in list(_lock_files):
        file.close()


fork.register(_close_inherited_locks, fork.Phase.LOCKS)
