"""The fleet: what the processes of one machine say of themselves, in files that each of them can read.

Each process keeps one file and writes it in place, some times a second. It holds a lock on the file as
long as it lives, which the system takes from it however it ends: so nobody has to guess from a process
number who is still there. What a dead process has counted is added to the counts of all who are
gone, once, by whoever sees it first; so the fleet's counters never go backwards.

What is written is a tree: `about` (who), `counted` (numbers that only grow), `now` (the rest).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
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
HEADER = 18
"""Bytes: checksum and length of what follows, in hexadecimal."""
READ_TRIES = 4
LOCK_WITHIN = 0.2
"""Seconds to wait for others who read or write the common files; a frozen process may hold their lock."""
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
        """Return what everybody says, and bury the dead."""
        if not self.path.is_dir():
            return Seen()
        with self._locked(fcntl.LOCK_SH):
            gone = self._gone()
            members, dead = self._read_all(set(gone["keys"]))
        counted = gone["counted"]
        for one in (*members, *dead):
            counted = add(counted, one.counted)
        if dead:
            self._bury()
        return Seen(sorted(members, key=lambda one: one.about.get("since", 0)), counted)

    def deaths(self) -> list[Tree]:
        """Return who of the dead has not said goodbye: `about` of each, the latest last."""
        return list(self._gone()["unexpected"])

    def _read_all(self, buried: set[str]) -> tuple[list[Member], list[Member]]:
        living: list[Member] = []
        dead: list[Member] = []
        for path in self.path.glob(f"*{STATE}"):
            lives = _is_locked(path)
            tree = None if path.stem in buried else _read_state(path)
            if tree is None:
                continue
            silent_for = max(0.0, time.monotonic() - tree["at"])
            member = Member(path.stem, tree["about"], tree["counted"], tree["now"], silent_for)
            (living if lives else dead).append(member)
        return living, dead

    def _bury(self) -> None:
        with self._locked(fcntl.LOCK_EX) as is_locked:
            if not is_locked:
                return
            gone = self._gone()
            _, dead = self._read_all(set(gone["keys"]))
            for one in dead:
                gone["counted"] = add(gone["counted"], one.counted)
                if not one.now.get("goodbye"):
                    gone["unexpected"] = [*gone["unexpected"][-19:], {**one.about, "found_at": time.time()}]
            gone["keys"] = [*gone["keys"], *(one.key for one in dead)][-MOST_GONE:]
            # First this, then the files: whoever is killed in between has counted nobody twice.
            write_whole(self.path / "gone.json", gone)
            for one in dead:
                (self.path / f"{one.key}{STATE}").unlink(missing_ok=True)

    def _gone(self) -> Tree:
        found = read_whole(self.path / "gone.json")
        if found is None or found.get("format") != FORMAT:
            return {"format": FORMAT, "keys": [], "counted": {}, "unexpected": []}
        return found

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[bool]:
        with (self.path / "lock").open("a") as lock:
            yield _lock_within(lock.fileno(), how, LOCK_WITHIN)


class Seat:
    """A process's own file."""

    def __init__(self, folder: Path, key: str, about: Tree) -> None:
        """Begin with nothing to say."""
        self.key = key
        self.about = {**about, "pid": os.getpid(), "since": time.time()}
        self._path = folder / f"{key}{STATE}"
        draft = folder / f"{key}.new"
        self._file = draft.open("w+b", buffering=0)
        # Locked before it has its name: nobody must take a newborn for dead.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.say({}, {})
        draft.rename(self._path)
        _seats.add(self)

    def say(self, counted: Tree, now: Tree) -> None:
        """Replace what was said before."""
        if self._file.closed:
            return
        tree = {"format": FORMAT, "at": time.monotonic(), "about": self.about, "counted": counted, "now": now}
        body = json.dumps(tree, separators=(",", ":")).encode()
        # In place and not by renaming: that would be work for the disk, some times a second for ever.
        os.pwrite(self._file.fileno(), b"%08x %08x\n" % (zlib.crc32(body), len(body)) + body, 0)

    def leave(self, counted: Tree) -> None:
        """Say goodbye; what was counted stays."""
        self.say(counted, {"goodbye": True})
        self.let_go()

    def let_go(self) -> None:
        """Close the file; in a child of fork, which is not the one who speaks here."""
        self._file.close()


def write_whole(path: Path, tree: Tree) -> None:
    """Replace a file by one that holds this tree, never by a part of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(tree, separators=(",", ":")), encoding="utf-8")
    draft.replace(path)


def read_whole(path: Path) -> Tree | None:
    """Return the tree in a file; None when there is none."""
    try:
        found: Tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def try_lock(path: Path) -> int | None:
    """Take a lock that only one process of the machine may have; return what holds it, None if another has it."""
    held = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if _lock_within(held, fcntl.LOCK_EX, 0.0):
        return held
    os.close(held)
    return None


def _lock_within(file: int, how: int, seconds: float) -> bool:
    ends_at = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
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


def _read_state(path: Path) -> Tree | None:
    for _ in range(READ_TRIES):
        try:
            content = path.read_bytes()
            checksum, length = int(content[:8], 16), int(content[9:17], 16)
        except (OSError, ValueError):
            return None
        body = content[HEADER : HEADER + length]
        if zlib.crc32(body) == checksum:
            tree: Tree = json.loads(body)
            return tree if tree.get("format") == FORMAT else None
        # It is being written just now.
        time.sleep(0.001)
    return None


_seats: weakref.WeakSet[Seat] = weakref.WeakSet()


def _leave_the_parents_seat() -> None:
    # A child holds the lock as long as its copy of the file is open: the dead parent would seem to live.
    for seat in list(_seats):
        seat.let_go()


os.register_at_fork(after_in_child=_leave_the_parents_seat)
