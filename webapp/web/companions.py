"""Processes beside a server: so many of one command, started again when they end, gone when the server is.

A program of its own, run by its path: `python companions.py NUMBER COMMAND…`. It imports nothing of ours, so it is
small, and Gunicorn's master needs no thread for it. On HUP the processes are told to end in order, and begin anew with
new code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

LOOKS_EVERY = 0.5
SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between a process's end and the next start, longer where they end at once again and again."""
ENDS_WITHIN = 25.0


class Companion:
    """One of the processes."""

    def __init__(self, command: list[str]) -> None:
        """Start nothing yet."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._starts_at = 0.0
        self._began_at = 0.0
        self._pause = SHORTEST_PAUSE

    def see_to(self, now: float) -> None:
        """Start it, if it does not run and it is time."""
        if self._process is not None and self._process.poll() is not None:
            lasted = now - self._began_at
            self._pause = SHORTEST_PAUSE if lasted > LONGEST_PAUSE else min(2 * self._pause, LONGEST_PAUSE)
            self._starts_at, self._process = now + self._pause, None
        if self._process is None and now >= self._starts_at:
            self._began_at = now
            self._process = subprocess.Popen([*self._command, "--parent", str(os.getpid())])  # noqa: S603 - ours

    def end(self) -> None:
        """Tell it to end in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end; who takes too long is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()


def keep(companions: list[Companion], parent: int) -> None:
    """Keep processes running until `parent` is gone or this one is told to end."""
    told: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        told.append(number)

    def renew(number: int, frame: FrameType | None) -> None:
        for companion in companions:
            companion.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    signal.signal(signal.SIGHUP, renew)
    while os.getppid() == parent and not told:
        for companion in companions:
            companion.see_to(time.monotonic())
        time.sleep(LOOKS_EVERY)
    until = time.monotonic() + ENDS_WITHIN
    for companion in companions:
        companion.end()
    for companion in companions:
        companion.wait(until)


if __name__ == "__main__":
    keep([Companion(sys.argv[2:]) for _ in range(int(sys.argv[1]))], os.getppid())
