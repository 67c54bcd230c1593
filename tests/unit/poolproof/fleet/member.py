"""A process of a fleet, for tests: it does the tasks that it reads from its standard input, line by line.

python -m tests.unit.poolproof.fleet.member FOLDER
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poolproof import event_log
from poolproof.fleet.commands import CommandError, CommandQueue
from poolproof.fleet.registry import FleetDirectory, Registration
from tests.support.narrowing import not_none

PROJECT = Path(__file__).resolve().parents[4]
END_TIMEOUT = 30


class Process:
    """A member, seen from the test."""

    def __init__(self, folder: Path, name: str = "worker") -> None:
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.poolproof.fleet.member", str(folder), name],
            cwd=PROJECT, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.pid = self._running.pid
        self.key = self._answer()

    def do(self, task: str, *arguments: Any) -> Any:
        """Let it do a task; return the result."""
        self.begin(task, *arguments)
        return self._answer()

    def begin(self, task: str, *arguments: Any) -> None:
        """Let it do a task, and do not wait."""
        not_none(self._running.stdin).write(json.dumps([task, *arguments]) + "\n")
        not_none(self._running.stdin).flush()

    def end_of(self, task: str, *arguments: Any) -> int:
        """Let it do a task that ends it; return its exit status."""
        self.begin(task, *arguments)
        return self._running.wait(END_TIMEOUT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL it is gone when this returns, after SIGSTOP it stands still."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self._running.wait(END_TIMEOUT)
        while number == signal.SIGSTOP and _state(self.pid) != "T":
            time.sleep(0.001)

    def close(self) -> None:
        """End it, however it is."""
        self._running.kill()
        self._running.wait(END_TIMEOUT)
        not_none(self._running.stdin).close()
        not_none(self._running.stdout).close()

    def _answer(self) -> Any:
        line = not_none(self._running.stdout).readline()
        assert line, "the process has ended"
        return json.loads(line)


@contextlib.contextmanager
def several(folder: Path, count: int) -> Iterator[list[Process]]:
    """Yield members; they are killed at the end."""
    processes: list[Process] = []
    try:
        processes.extend(Process(folder) for _ in range(count))
        yield processes
    finally:
        for process in processes:
            process.close()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Member:
    """What the process itself does; each method is a task by its name."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = FleetDirectory(folder)
        self.registration: Registration = self.folder.register({"name": name, "number": 1, "master": "a master"})
        self.commands = CommandQueue(folder)

    def say(self, counted: Any, now: Any) -> None:
        self.registration.publish(counted, now)

    def leave(self, counted: Any) -> None:
        self.registration.unregister(counted)

    def exit(self) -> None:
        sys.exit()

    def publish_for_ever(self, length: int) -> None:
        """Publish a growing count; each time so much that it is written in several pieces."""
        print("null", flush=True)  # noqa: T201 - the answer: it has begun
        count = 0
        while True:
            count += 1
            self.registration.publish({"count": count}, {"much": "x" * length})

    def read_sums(self, count: int, until: str = "") -> list[float]:
        """Read the fleet `count` times, and until a file of this name exists; return the sums."""
        sums: list[float] = []
        while len(sums) < count or (until and not Path(until).exists()):
            sums.append(self.folder.snapshot().counters.get("count", 0))
            # The others need the processor, too.
            time.sleep(0.0005)
        return sums

    def fork(self) -> int:
        """Leave a child behind that sleeps; return its number."""
        child = os.fork()
        if not child:
            signal.alarm(60)
            time.sleep(60)
            os._exit(0)
        return child

    def take_shared_lock(self) -> None:
        # Left open for good, as by a process that is frozen in the middle of it.
        self.lock_file = (self.folder.path / "lock").open("a")
        fcntl.flock(self.lock_file, fcntl.LOCK_EX)

    def execute_pending(self) -> list[Any]:
        """Execute the commands to this process; return them."""
        received: list[Any] = []

        def execute(command: Any) -> str:
            received.append(command)
            if command["action"] == "impossible":
                raise CommandError("it cannot be done.")
            if command["action"] == "broken":
                raise KeyError("not foreseen")
            return f"done by {os.getpid()}"

        self.commands.execute_pending(self.registration.key, execute)
        return received

    def set_override(self, name: str, value: Any) -> None:
        self.commands.set_overrides("a master", **{name: value})

    def append_events(self, count: int, length: int) -> None:
        for number in range(count):
            event_log.append(
                self.folder.path,
                [{"at": time.time(), "by": os.getpid(), "number": number, "sentence": "word " * (length // 5)}],
            )


def main() -> None:
    """Do the tasks until the end of the input."""
    member = Member(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(member.registration.key), flush=True)  # noqa: T201
    for line in sys.stdin:
        task, *arguments = json.loads(line)
        print(json.dumps(getattr(member, task)(*arguments)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
