"""A run fails that leaves something behind: a process, a thread, a listening port, a temporary file, a changed tree.

Each process of a run (with pytest-xdist the workers, too) looks at its own children, threads and sockets when its tests
have ended and its servers are stopped. The main one gives the run a folder for temporary files, in which nothing may be
left (pytest's own temporary folders, which it keeps for a while, are elsewhere), and compares what git says of the
working tree.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.support import PROJECT

MARK = "PYTEST_STARTED_BY"
"""A variable whose name is not one of the service's settings, so that services inherit it."""
HELPER = "multiprocessing.resource_tracker"
"""Python's own process beside one that spawns: it ends with this one."""
END_TIMEOUT = 5.0
"""Seconds that what has been told to end may take."""
POLL_INTERVAL = 0.05
LISTENING = "0A"
MAX_SHOWN = 120
"""Characters of a command."""


class Leftovers:
    """What there was before the tests, to be compared with what is there after them."""

    def __init__(self, *, is_worker: bool) -> None:
        self._is_worker = is_worker
        # Every program that is started from here inherits it, so that orphans are found too.
        self._mark = f"{os.getpid()}-{time.monotonic_ns()}"
        os.environ[MARK] = self._mark
        self._threads = set(threading.enumerate())
        self._ports = set(_listening())
        self._tree = None if is_worker else _state_of_the_tree()
        self._temporary = None if is_worker else _own_temporary_folder()
        self.found: list[str] = []

    def look(self, *, patiently: bool = True) -> list[str]:
        """Return what was left behind, in words; it also ends left processes."""
        deadline = time.monotonic() + (END_TIMEOUT if patiently else 0.0)
        while (processes := self._running()) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [*processes, *self._files()]

    def forget(self) -> None:
        """Remove the folder for temporary files."""
        if self._temporary is not None:
            tempfile.tempdir = None
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _running(self) -> list[str]:
        threads = [thread for thread in threading.enumerate() if thread not in self._threads and thread.is_alive()]
        ports = [port for port in _listening() if port not in self._ports]
        return [
            *(f"process {pid}: {command}" for pid, command in self._processes().items()),
            *(f"thread {thread.name}" for thread in threads),
            *(f"listening port {port}" for port in ports),
        ]

    def _processes(self) -> dict[int, str]:
        """Return this process's children and their orphans, with their commands."""
        mark = f"{MARK}={self._mark}".encode()
        processes = {}
        for folder in Path("/proc").glob("[0-9]*"):
            # A process may end while it is looked at, and another account's says nothing.
            with suppress(OSError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                is_ours = int(parent) == os.getpid() or mark in (folder / "environ").read_bytes().split(b"\0")
                if is_ours and state != "Z" and int(folder.name) != os.getpid():
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if HELPER not in command:
                        processes[int(folder.name)] = command[:MAX_SHOWN].strip()
        return processes

    def _files(self) -> Iterator[str]:
        if self._temporary is not None:
            yield from (f"file {path}" for path in sorted(self._temporary.iterdir()))
        if self._tree is not None:
            yield from (f"changed in the working tree: {line}" for line in sorted(_state_of_the_tree() ^ self._tree))


def _own_temporary_folder() -> Path:
    # pytest's folders stay where they are.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="poolproof-tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def _state_of_the_tree() -> set[str]:
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        return set()
    command = ["git", "status", "--porcelain"]
    return set(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.splitlines())


def _listening() -> Iterator[str]:
    """Yield the ports on which this process itself listens."""
    sockets = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            sockets.add(str(descriptor.readlink()))
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/self/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                    yield str(int(fields[1].rpartition(":")[2], 16))
