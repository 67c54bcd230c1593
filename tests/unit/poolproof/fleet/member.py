"""A process of a fleet, for tests: it does what it reads from its standard input, line by line.

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
ENDS_WITHIN = 30


class Process:
    """A member, seen from the test."""

    def __init__(self, folder: Path, name: str = "worker") -> None:
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.poolproof.fleet.member", str(folder), name],
            cwd=PROJECT, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.pid = self._running.pid
        self.key = self._answer()

    def do(self, deed: str, *arguments: Any) -> Any:
        """Let it do something; return what came of it."""
        self.begin(deed, *arguments)
        return self._answer()

    def begin(self, deed: str, *arguments: Any) -> None:
        """Let it do something, and do not wait."""
        not_none(self._running.stdin).write(json.dumps([deed, *arguments]) + "\n")
        not_none(self._running.stdin).flush()

    def end_of(self, deed: str, *arguments: Any) -> int:
        """Let it do what ends it; return how it ended."""
        self.begin(deed, *arguments)
        return self._running.wait(ENDS_WITHIN)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL it is gone when this returns, after SIGSTOP it stands still."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self._running.wait(ENDS_WITHIN)
        while number == signal.SIGSTOP and _state(self.pid) != "T":
            time.sleep(0.001)

    def close(self) -> None:
        """End it, however it is."""
        self._running.kill()
        self._running.wait(ENDS_WITHIN)
        not_none(self._running.stdin).close()
        not_none(self._running.stdout).close()

    def _answer(self) -> Any:
        line = not_none(self._running.stdout).readline()
        assert line, "the process has ended"
        return json.loads(line)


@contextlib.contextmanager
def several(folder: Path, count: int) -> Iterator[list[Process]]:
    """Members that are gone at the end."""
    processes: list[Process] = []
    try:
        processes.extend(Process(folder) for _ in range(count))
        yield processes
    finally:
        for one in processes:
            one.close()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Member:
    """What the process itself does; each method is a deed."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = FleetDirectory(folder)
        self.seat: Registration = self.folder.register({"name": name, "number": 1, "master": "a master"})
        self.orders = CommandQueue(folder)

    def say(self, counted: Any, now: Any) -> None:
        self.seat.publish(counted, now)

    def leave(self, counted: Any) -> None:
        self.seat.unregister(counted)

    def exit(self) -> None:
        sys.exit()

    def count_for_ever(self, length: int) -> None:
        """Say more and more; each time so much that the disk takes it in several pieces."""
        print("null", flush=True)  # noqa: T201 - the answer: it has begun
        count = 0
        while True:
            count += 1
            self.seat.publish({"count": count}, {"much": "x" * length})

    def look_often(self, looks: int, until: str = "") -> list[float]:
        """Look so often, and until there is a file of this name; return the sums that were seen."""
        sums: list[float] = []
        while len(sums) < looks or (until and not Path(until).exists()):
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

    def hold_the_common_lock(self) -> None:
        # Left open for good, as by a process that is frozen in the middle of it.
        self.held = (self.folder.path / "lock").open("a")
        fcntl.flock(self.held, fcntl.LOCK_EX)

    def obey(self) -> list[Any]:
        """Carry out what is asked; return the orders that came."""
        came: list[Any] = []

        def obey(order: Any) -> str:
            came.append(order)
            if order["deed"] == "impossible":
                raise CommandError("it cannot be done.")
            if order["deed"] == "broken":
                raise KeyError("nobody has thought of this")
            return f"done by {os.getpid()}"

        self.orders.execute_pending(self.seat.key, obey)
        return came

    def stand(self, name: str, value: Any) -> None:
        self.orders.set_overrides("a master", **{name: value})

    def write_diary(self, count: int, length: int) -> None:
        for number in range(count):
            event_log.append(
                self.folder.path,
                [{"at": time.time(), "by": os.getpid(), "number": number, "sentence": "word " * (length // 5)}],
            )


def main() -> None:
    """Do what is asked until the end of the input."""
    member = Member(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(member.seat.key), flush=True)  # noqa: T201
    for line in sys.stdin:
        deed, *arguments = json.loads(line)
        print(json.dumps(getattr(member, deed)(*arguments)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
