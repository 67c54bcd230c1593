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
import io
import json
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poolproof.runtime.files import JsonObject, is_locked, locked, open_locked, read_json, write_json

FORMAT_VERSION = 1
STATE_SUFFIX = ".state"
HEADER_SIZE = 35
"""Bytes: checksum and length of what follows and how many words there were before, in hexadecimal."""
SLOT_SIZE = 4 * 1024 * 1024
"""A file has two places, written by turns: whoever dies or is read in the middle of a word has said the one before.

Between them is a hole, which needs no room on the disk.
"""
MAX_READ_ATTEMPTS = 4
LOCK_TIMEOUT = 0.2
"""Seconds to wait for others who change the common files; a frozen process may hold their lock."""
MAX_EXITED = 500
"""Dead processes whose files are known to be added up."""


@dataclass(frozen=True)
class Member:
    """One process's own words; `silent_for` is how many seconds ago it wrote them."""

    key: str
    identity: JsonObject
    counters: JsonObject
    status: JsonObject
    silent_for: float


@dataclass(frozen=True)
class FleetSnapshot:
    """All that live, the oldest first, and what they and the dead have counted together."""

    members: Sequence[Member] = ()
    counters: JsonObject = field(default_factory=dict)


def add_trees(one: Any, other: Any) -> Any:
    """Add two trees of numbers: dicts by key, lists by place, numbers as they are."""
    if isinstance(one, dict):
        return {key: add_trees(one[key], other[key]) if key in one and key in other else
                one.get(key, other.get(key)) for key in [*one, *(key for key in other if key not in one)]}  # fmt: skip
    if isinstance(one, list):
        longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
        return [value + (shorter[place] if place < len(shorter) else 0) for place, value in enumerate(longer)]
    return one + other


class FleetDirectory:
    """Where the processes of one machine meet."""

    def __init__(self, path: Path) -> None:
        """Make nothing yet."""
        self.path = path

    def register(self, identity: JsonObject) -> Registration:
        """Take part, until `Seat.leave` or this process's end.

        Raises:
            OSError: when nothing can be written here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        return Registration(self.path, f"{os.getpid()}-{time.time_ns():x}", identity)

    def snapshot(self) -> FleetSnapshot:
        """Return what everybody says, and bury the dead; needs no lock, and only reading where none has died."""
        found = self._read_members()
        # In this order: whoever was buried since he was read is known to be.
        gone = self._read_exited()
        buried = set(gone["keys"])
        present = [(one, lives) for one, lives in found if one.key not in buried]
        counted = gone["counted"]
        for one, _ in present:
            counted = add_trees(counted, one.counters)
        if not all(lives for _, lives in present):
            # Who may not write leaves it to the others.
            with contextlib.suppress(OSError):
                self._reap()
        members = [one for one, lives in present if lives]
        return FleetSnapshot(sorted(members, key=lambda one: one.identity.get("since", 0)), counted)

    def crashed(self) -> list[JsonObject]:
        """Return who of the dead has not said goodbye: `about` of each, the latest last."""
        return list(self._read_exited()["unexpected"])

    def _read_members(self) -> list[tuple[Member, bool]]:
        """Return everybody who has a file, and whether he lives."""
        found = []
        for path in self.path.glob(f"*{STATE_SUFFIX}"):
            lives = is_locked(path)
            if (tree := _read_state(path, is_alive=lives)) is not None:
                silent_for = max(0.0, time.monotonic() - tree["at"])
                found.append((Member(path.stem, tree["about"], tree["counted"], tree["now"], silent_for), lives))
        return found

    def _reap(self) -> None:
        with locked(self.path / "lock", LOCK_TIMEOUT) as is_locked:
            if not is_locked:
                return
            gone = self._read_exited()
            dead = [one for one, lives in self._read_members() if not lives]
            for one in dead:
                if one.key in gone["keys"]:
                    # Whoever added it up was killed before he could remove the file.
                    continue
                gone["counted"] = add_trees(gone["counted"], one.counters)
                gone["keys"] = [*gone["keys"], one.key][-MAX_EXITED:]
                if not one.status.get("goodbye"):
                    gone["unexpected"] = [*gone["unexpected"][-19:], {**one.identity, "found_at": time.time()}]
            # First this, then the files: whoever is killed in between has counted nobody twice.
            write_json(self.path / "gone.json", gone)
            for one in dead:
                (self.path / f"{one.key}{STATE_SUFFIX}").unlink(missing_ok=True)

    def _read_exited(self) -> JsonObject:
        nobody: JsonObject = {"format": FORMAT_VERSION, "keys": [], "counted": {}, "unexpected": []}
        found = read_json(self.path / "gone.json") or nobody
        is_ours = found.get("format") == FORMAT_VERSION and all(
            type(found.get(key)) is type(nobody[key]) for key in nobody
        )
        return found if is_ours else nobody


class Registration:
    """A process's own file."""

    def __init__(self, folder: Path, key: str, identity: JsonObject) -> None:
        """Begin with nothing to say."""
        self.key = key
        self.identity = {**identity, "pid": os.getpid(), "since": time.time()}
        self.path = folder / f"{key}{STATE_SUFFIX}"
        self._publish_count = 0
        draft = folder / f"{key}.new"
        # Locked before it has its name, or another process would take this one for dead.
        self._file = open_locked(draft)
        try:
            self.publish({}, {})
            draft.rename(self.path)
        except OSError:
            self._file.close()
            draft.unlink(missing_ok=True)
            raise

    def publish(self, counters: JsonObject, status: JsonObject) -> None:
        """Replace what was said before.

        Raises:
            OSError: when the disk is full; then the word before stands.
        """
        if self._file.closed:
            return
        tree = {
            "format": FORMAT_VERSION,
            "at": time.monotonic(),
            "about": self.identity,
            "counted": counters,
            "now": status,
        }
        body = json.dumps(tree, separators=(",", ":")).encode()
        content = b"%08x %08x %016x\n" % (zlib.crc32(body), len(body), self._publish_count + 1) + body
        # In place and not by renaming: that would be work for the disk, some times a second for ever.
        written = os.pwrite(self._file.fileno(), content, SLOT_SIZE * (self._publish_count % 2))
        if written < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._publish_count += 1

    def unregister(self, counters: JsonObject) -> None:
        """Say goodbye; what was counted stays."""
        try:
            self.publish(counters, {"goodbye": True})
        finally:
            self._file.close()


def _read_state(path: Path, *, is_alive: bool) -> JsonObject | None:
    for _ in range(MAX_READ_ATTEMPTS if is_alive else 1):
        try:
            with path.open("rb", buffering=0) as state:
                tree = _read_latest_slot(state)
        except OSError:
            return None
        if tree is not None:
            return tree if tree.get("format") == FORMAT_VERSION else None
        # Both places have been written since it was opened.
        time.sleep(0.001)
    return None


def _read_latest_slot(state: io.FileIO) -> JsonObject | None:
    words = []
    for place in (0, SLOT_SIZE):
        try:
            checksum, length, number = (
                int(part, 16) for part in os.pread(state.fileno(), HEADER_SIZE, place).split(b" ")
            )
        except ValueError:
            continue
        words.append((number, checksum, min(length, SLOT_SIZE), place))
    for _, checksum, length, place in sorted(words, reverse=True):
        body = os.pread(state.fileno(), length, place + HEADER_SIZE)
        if body and zlib.crc32(body) == checksum:
            tree: JsonObject = json.loads(body)
            return tree
    return None
