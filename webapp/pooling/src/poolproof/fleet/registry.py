"""The fleet: the processes of one machine publish their state in files that each of them can read.

Each process has one file, which it overwrites in place some times a second. It holds a lock on the file as long as it
lives, and the kernel releases the lock however the process ends: so no process has to guess from a process id whether
another one is alive. The counters of a dead process are added to those of all exited processes, once, by the first
process that notices; so the fleet's counters never go backwards.

A file's content is a JSON object: `identity`, `counters` (numbers that only grow), `status` (the rest).
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
from itertools import zip_longest
from pathlib import Path
from typing import Any

from poolproof.runtime.files import JsonObject, is_locked, locked, open_locked, read_json, write_json

FORMAT_VERSION = 2
STATE_SUFFIX = ".state"
HEADER_SIZE = 35
"""Bytes: checksum and length of what follows and how many times the state was published, in hexadecimal."""
SLOT_SIZE = 4 * 1024 * 1024
"""A file has two slots, written by turns. Double-buffered: a torn write leaves the previous version readable.

Between them is a hole, which needs no space on the disk.
"""
MAX_STATE_SIZE = SLOT_SIZE // 2 - HEADER_SIZE
"""Bytes of a published state: in the middle of the hole is the number of `request_counter`."""
MAX_READ_ATTEMPTS = 4
LOCK_TIMEOUT = 0.2
"""Seconds to wait for the lock of the shared files; a frozen process may hold it."""
MAX_CRASHED = 20
MAX_EXITED = 500
"""Dead processes whose counters are known to be added up."""


@dataclass(frozen=True)
class Member:
    """The published state of one process; `silent_for` is how many seconds ago it was published."""

    key: str
    identity: JsonObject
    counters: JsonObject
    status: JsonObject
    silent_for: float


@dataclass(frozen=True)
class FleetSnapshot:
    """The live processes, the oldest first, and the counters of all processes, the dead ones included."""

    members: Sequence[Member] = ()
    counters: JsonObject = field(default_factory=dict)


def add_trees(left: Any, right: Any) -> Any:
    """Add two trees of numbers: dicts by key, lists by index, numbers as they are."""
    if isinstance(left, dict):
        common = {key: add_trees(left[key], right[key]) for key in left if key in right}
        return {**left, **right, **common}
    if isinstance(left, list):
        return [one + other for one, other in zip_longest(left, right, fillvalue=0)]
    return left + right


class FleetDirectory:
    """The directory in which the processes of one machine publish their state."""

    def __init__(self, path: Path) -> None:
        """Create nothing yet."""
        self.path = path

    def register(
        self, identity: JsonObject, counters: JsonObject | None = None, status: JsonObject | None = None
    ) -> Registration:
        """Register this process with its first state, until `Registration.unregister` or its end.

        Raises:
            OSError: when nothing can be written here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        return Registration(self.path, f"{os.getpid()}-{time.time_ns():x}", identity, counters or {}, status or {})

    def snapshot(self) -> FleetSnapshot:
        """Return the state of the fleet, and reap dead processes; needs no lock, and no writing when none has died."""
        members = self._read_members()
        # After the members: one that was reaped since it was read is in this file, and not counted twice.
        exited = self._read_exited()
        reaped = set(exited["keys"])
        present = [(member, is_alive) for member, is_alive in members if member.key not in reaped]
        counters = exited["counters"]
        for member, _ in present:
            counters = add_trees(counters, member.counters)
        if not all(is_alive for _, is_alive in present):
            # A process without the right to write leaves it to the others.
            with contextlib.suppress(OSError):
                self._reap()
        living = [member for member, is_alive in present if is_alive]
        return FleetSnapshot(sorted(living, key=lambda member: member.identity.get("since", 0)), counters)

    def crashed(self) -> list[JsonObject]:
        """Return the identities of the processes that ended without unregistering, the latest last."""
        return list(self._read_exited()["crashed"])

    def _read_members(self) -> list[tuple[Member, bool]]:
        """Return every process that has a file, and whether it is alive."""
        members = []
        for path in self.path.glob(f"*{STATE_SUFFIX}"):
            is_alive = is_locked(path)
            if (state := _read_state(path, is_alive=is_alive)) is not None:
                silent_for = max(0.0, time.monotonic() - state["at"])
                member = Member(path.stem, state["identity"], state["counters"], state["status"], silent_for)
                members.append((member, is_alive))
        return members

    def _reap(self) -> None:
        with locked(self.path / "lock", LOCK_TIMEOUT) as is_locked:
            if not is_locked:
                return
            exited = self._read_exited()
            dead = [member for member, is_alive in self._read_members() if not is_alive]
            for member in dead:
                # Already in the keys: the process that added it up was killed before it could remove the file.
                if member.key not in exited["keys"]:
                    _add_exited(exited, member)
            # In this order: a process that is killed in between leaves files whose keys are known to be added up.
            write_json(self.path / "exited.json", exited)
            for member in dead:
                (self.path / f"{member.key}{STATE_SUFFIX}").unlink(missing_ok=True)

    def _read_exited(self) -> JsonObject:
        empty: JsonObject = {"format": FORMAT_VERSION, "keys": [], "counters": {}, "crashed": []}
        content = read_json(self.path / "exited.json") or empty
        is_valid = content.get("format") == FORMAT_VERSION and all(
            type(content.get(key)) is type(empty[key]) for key in empty
        )
        return content if is_valid else empty


def _add_exited(exited: JsonObject, member: Member) -> None:
    exited["counters"] = add_trees(exited["counters"], member.counters)
    exited["keys"] = [*exited["keys"], member.key][-MAX_EXITED:]
    if not member.status.get("goodbye"):
        crashed = {**member.identity, "found_at": time.time()}
        exited["crashed"] = [*exited["crashed"], crashed][-MAX_CRASHED:]


class Registration:
    """A process's own file in the fleet directory."""

    def __init__(self, folder: Path, key: str, identity: JsonObject, counters: JsonObject, status: JsonObject) -> None:
        """Create and lock the file, with the first state."""
        self.key = key
        self.identity = {**identity, "pid": os.getpid(), "since": time.time()}
        self.path = folder / f"{key}{STATE_SUFFIX}"
        self._publish_count = 0
        draft = folder / f"{key}.new"
        # Locked before it gets its final name, or another process would take this one for dead.
        self._file = open_locked(draft)
        try:
            self.publish(counters, status)
            draft.rename(self.path)
        except OSError:
            self._file.close()
            draft.unlink(missing_ok=True)
            raise

    def publish(self, counters: JsonObject, status: JsonObject) -> None:
        """Replace the published state.

        Where it is too large, the largest parts of `status` are published empty.

        Raises:
            OSError: when the disk is full, or the counters alone are too large; then the state published before
                remains.
        """
        if self._file.closed:
            return
        state = {
            "format": FORMAT_VERSION,
            "at": time.monotonic(),
            "identity": self.identity,
            "counters": counters,
            "status": status,
        }
        body = _encode(state)
        if len(body) > MAX_STATE_SIZE:
            body = _encode({**state, "status": _shortened(status, len(body) - MAX_STATE_SIZE)})
        if len(body) > MAX_STATE_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path))
        content = b"%08x %08x %016x\n" % (zlib.crc32(body), len(body), self._publish_count + 1) + body
        # In place and not by renaming, which would write to the disk some times a second for ever.
        written = os.pwrite(self._file.fileno(), content, SLOT_SIZE * (self._publish_count % 2))
        if written < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._publish_count += 1

    def unregister(self, counters: JsonObject) -> None:
        """Publish that this process ends in order; its counters remain part of the fleet's."""
        try:
            self.publish(counters, {"goodbye": True})
        finally:
            self._file.close()


def _encode(tree: Any) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def _shortened(status: JsonObject, excess: int) -> JsonObject:
    """Empty the largest objects and lists of a status until it is `excess` bytes shorter."""
    sizes = {name: len(_encode(part)) for name, part in status.items() if isinstance(part, dict | list)}
    shortened = dict(status)
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        shortened[name] = type(status[name])()
        excess -= sizes[name] - len("[]")
    return shortened


def _read_state(path: Path, *, is_alive: bool) -> JsonObject | None:
    for _ in range(MAX_READ_ATTEMPTS if is_alive else 1):
        try:
            with path.open("rb", buffering=0) as file:
                state = _read_latest_slot(file)
        except OSError:
            return None
        if state is not None:
            return state if state.get("format") == FORMAT_VERSION else None
        # Both slots have been written since the file was opened.
        time.sleep(0.001)
    return None


def _read_latest_slot(file: io.FileIO) -> JsonObject | None:
    headers = []
    for offset in (0, SLOT_SIZE):
        try:
            checksum, length, number = (
                int(part, 16) for part in os.pread(file.fileno(), HEADER_SIZE, offset).split(b" ")
            )
        except ValueError:
            continue
        headers.append((number, checksum, min(length, SLOT_SIZE), offset))
    for _, checksum, length, offset in sorted(headers, reverse=True):
        body = os.pread(file.fileno(), length, offset + HEADER_SIZE)
        if body and zlib.crc32(body) == checksum:
            state: JsonObject = json.loads(body)
            return state
    return None
