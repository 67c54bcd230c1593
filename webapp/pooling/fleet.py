"""The fleet: what the processes of one machine say of themselves, in files that each of them can read.

Each process keeps one file and writes it in place, some times a second. It holds a lock on the file as
long as it lives, which the system takes from it however it ends: so nobody has to guess from a process
number who is still there. What a dead process has counted is added to the counts of all who are
gone, once, by whoever sees it first; so the fleet's counters never go backwards.

What is written is a tree: `about` (who), `counted` (numbers that only grow), `now` (the rest).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import os
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

FORMAT = 1
STATE = ".state"
HEADER = 35
"""Bytes: checksum and length of what follows and how many words there were before, in hexadecimal."""
SLOT = 4 * 1024 * 1024
"""A file has two places, written by turns: whoever dies or is read in the middle of a word has said the one before.

Between them is a hole, which needs no room on the disk.
"""
READ_TRIES = 4
LOCK_WITHIN = 0.2
"""Seconds to wait for others who change the common files; a frozen process may hold their lock."""
MOST_GONE = 500
"""Dead processes whose files are known to be added up."""


@dataclass(frozen=True)
class Member:
    """One process's own words; `silent_for` is how many seconds ago it wrote them."""

    key: str
    about: Tree
    counted: Tree
    now: Tree
    silent_for: float


@dataclass(frozen=True)
class Seen:
    """All that live, the oldest first, and what they and the dead have counted together."""

    members: Sequence[Member] = ()
    counted: Tree = field(default_factory=dict)


def add(one: Any, other: Any) -> Any:
    """Add two trees of numbers: dicts by key, lists by place, numbers as they are."""
    if isinstance(one, dict):
        return {key: add(one[key], other[key]) if key in one and key in other else
                one.get(key, other.get(key)) for key in [*one, *(key for key in other if key not in one)]}  # fmt: skip
    if isinstance(one, list):
        longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
        return [value + (shorter[place] if place < len(shorter) else 0) for place, value in enumerate(longer)]
    return one + other


class Folder:
    """Where the processes of one machine meet."""

    def __init__(self, path: Path) -> None:
        """Make nothing yet."""
        self.path = path

    def join(self, about: Tree) -> Seat:
        """Take part, until `Seat.leave` or this process's end.

        Raises:
            OSError: when nothing can be written here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        return Seat(self.path, f"{os.getpid()}-{time.time_ns():x}", about)

    def look(self) -> Seen:
        """Return what everybody says, and bury the dead; needs no lock, and only reading where none has died."""
        found = self._read_all()
        # In this order: whoever was buried since he was read is known to be.
        gone = self._gone()
        buried = set(gone["keys"])
        present = [(one, lives) for one, lives in found if one.key not in buried]
        counted = gone["counted"]
        for one, _ in present:
            counted = add(counted, one.counted)
        if not all(lives for _, lives in present):
            # Who may not write leaves it to the others.
            with contextlib.suppress(OSError):
                self._bury()
        members = [one for one, lives in present if lives]
        return Seen(sorted(members, key=lambda one: one.about.get("since", 0)), counted)

    def deaths(self) -> list[Tree]:
        """Return who of the dead has not said goodbye: `about` of each, the latest last."""
        return list(self._gone()["unexpected"])

    def _read_all(self) -> list[tuple[Member, bool]]:
        """Return everybody who has a file, and whether he lives."""
        found = []
        for path in self.path.glob(f"*{STATE}"):
            lives = _is_locked(path)
            if (tree := _read_state(path, is_written=lives)) is not None:
                silent_for = max(0.0, time.monotonic() - tree["at"])
                found.append((Member(path.stem, tree["about"], tree["counted"], tree["now"], silent_for), lives))
        return found

    def _bury(self) -> None:
        with locked(self.path / "lock", LOCK_WITHIN) as is_locked:
            if not is_locked:
                return
            gone = self._gone()
            dead = [one for one, lives in self._read_all() if not lives]
            for one in dead:
                if one.key in gone["keys"]:
                    # Whoever added it up was killed before he could remove the file.
                    continue
                gone["counted"] = add(gone["counted"], one.counted)
                gone["keys"] = [*gone["keys"], one.key][-MOST_GONE:]
                if not one.now.get("goodbye"):
                    gone["unexpected"] = [*gone["unexpected"][-19:], {**one.about, "found_at": time.time()}]
            # First this, then the files: whoever is killed in between has counted nobody twice.
            write_whole(self.path / "gone.json", gone)
            for one in dead:
                (self.path / f"{one.key}{STATE}").unlink(missing_ok=True)

    def _gone(self) -> Tree:
        nobody: Tree = {"format": FORMAT, "keys": [], "counted": {}, "unexpected": []}
        found = read_whole(self.path / "gone.json") or nobody
        is_ours = found.get("format") == FORMAT and all(type(found.get(key)) is type(nobody[key]) for key in nobody)
        return found if is_ours else nobody


class Seat:
    """A process's own file."""

    def __init__(self, folder: Path, key: str, about: Tree) -> None:
        """Begin with nothing to say."""
        self.key = key
        self.about = {**about, "pid": os.getpid(), "since": time.time()}
        self.path = folder / f"{key}{STATE}"
        self._words = 0
        draft = folder / f"{key}.new"
        self._file = draft.open("w+b", buffering=0)
        _held.add(self._file)
        try:
            # Locked before it has its name: nobody must take a newborn for dead.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self.say({}, {})
            draft.rename(self.path)
        except OSError:
            self._file.close()
            draft.unlink(missing_ok=True)
            raise

    def say(self, counted: Tree, now: Tree) -> None:
        """Replace what was said before.

        Raises:
            OSError: when the disk is full; then the word before stands.
        """
        if self._file.closed:
            return
        tree = {"format": FORMAT, "at": time.monotonic(), "about": self.about, "counted": counted, "now": now}
        body = json.dumps(tree, separators=(",", ":")).encode()
        content = b"%08x %08x %016x\n" % (zlib.crc32(body), len(body), self._words + 1) + body
        # In place and not by renaming: that would be work for the disk, some times a second for ever.
        written = os.pwrite(self._file.fileno(), content, SLOT * (self._words % 2))
        if written < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._words += 1

    def leave(self, counted: Tree) -> None:
        """Say goodbye; what was counted stays."""
        try:
            self.say(counted, {"goodbye": True})
        finally:
            self._file.close()


def write_whole(path: Path, tree: Tree) -> None:
    """Replace a file by one that holds this tree, never by a part of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}")
    draft.write_text(json.dumps(tree, separators=(",", ":")), encoding="utf-8")
    draft.replace(path)


def read_whole(path: Path) -> Tree | None:
    """Return the tree in a file; None when there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def try_lock(path: Path) -> io.FileIO | None:
    """Take a lock that only one process of the machine may have; return what holds it, None if another has it."""
    held = path.open("ab", buffering=0)
    if _lock_within(held.fileno(), 0.0):
        _held.add(held)
        return held
    held.close()
    return None


@contextlib.contextmanager
def locked(path: Path, within: float) -> Iterator[bool]:
    """Have a lock of the whole machine, and yield whether it was got within so many seconds."""
    with path.open("ab") as lock:
        is_locked = _lock_within(lock.fileno(), within)
        try:
            yield is_locked
        finally:
            # Closing is not enough: a child that was forked meanwhile has a copy of the file.
            fcntl.flock(lock, fcntl.LOCK_UN)


def _lock_within(file: int, seconds: float) -> bool:
    ends_at = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                return False
            time.sleep(0.002)
        else:
            return True


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as state:
            fcntl.flock(state, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Buried in this moment.
        return False
    return False


def _read_state(path: Path, *, is_written: bool) -> Tree | None:
    for _ in range(READ_TRIES if is_written else 1):
        try:
            with path.open("rb", buffering=0) as state:
                tree = _last_word(state)
        except OSError:
            return None
        if tree is not None:
            return tree if tree.get("format") == FORMAT else None
        # Both places have been written since it was opened.
        time.sleep(0.001)
    return None


def _last_word(state: io.FileIO) -> Tree | None:
    words = []
    for place in (0, SLOT):
        try:
            checksum, length, number = (int(part, 16) for part in os.pread(state.fileno(), HEADER, place).split(b" "))
        except ValueError:
            continue
        words.append((number, checksum, min(length, SLOT), place))
    for _, checksum, length, place in sorted(words, reverse=True):
        body = os.pread(state.fileno(), length, place + HEADER)
        if body and zlib.crc32(body) == checksum:
            tree: Tree = json.loads(body)
            return tree
    return None


_held: weakref.WeakSet[io.FileIO] = weakref.WeakSet()


def _let_go_of_the_parents_locks() -> None:
    # A child holds a lock as long as its copy of the file is open: the dead parent would seem to live, or to lead.
    for file in list(_held):
        file.close()


os.register_at_fork(after_in_child=_let_go_of_the_parents_locks)
