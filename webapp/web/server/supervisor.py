"""Processes beside a server: so many of one command, started again when they end, gone when the server is.

A program of its own, run by its path: `python supervisor.py NUMBER COMMAND…`. It imports nothing of ours, so it is
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

CHECK_INTERVAL = 0.5
INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 30.0
"""Seconds between a process's end and the next start, longer where they end at once again and again."""
TERMINATION_TIMEOUT = 25.0


class ChildProcess:
    """One of the processes."""

    def __init__(self, command: list[str]) -> None:
        """Start nothing yet."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start_at = 0.0
        self._started_at = 0.0
        self._backoff = INITIAL_BACKOFF

    def ensure_running(self, now: float) -> None:
        """Start it, if it does not run and it is time."""
        if self._process is not None and self._process.poll() is not None:
            lasted = now - self._started_at
            self._backoff = INITIAL_BACKOFF if lasted > MAX_BACKOFF else min(2 * self._backoff, MAX_BACKOFF)
            self._next_start_at, self._process = now + self._backoff, None
        if self._process is None and now >= self._next_start_at:
            self._started_at = now
            self._process = subprocess.Popen([*self._command, "--parent", str(os.getpid())])  # noqa: S603 - ours

    def terminate(self) -> None:
        """Tell it to end in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end; who takes too long is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()


def supervise(children: list[ChildProcess], parent_pid: int) -> None:
    """Keep processes running until `parent` is gone or this one is told to end."""
    told: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        told.append(number)

    def renew(number: int, frame: FrameType | None) -> None:
        for companion in children:
            companion.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    signal.signal(signal.SIGHUP, renew)
    while os.getppid() == parent_pid and not told:
        for companion in children:
            companion.ensure_running(time.monotonic())
        time.sleep(CHECK_INTERVAL)
    until = time.monotonic() + TERMINATION_TIMEOUT
    for companion in children:
        companion.terminate()
    for companion in children:
        companion.wait(until)


if __name__ == "__main__":
    supervise([ChildProcess(sys.argv[2:]) for _ in range(int(sys.argv[1]))], os.getppid())
