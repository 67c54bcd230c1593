"""Processes beside a server: a number of one command, restarted when they end, terminated when the server ends.

A program of its own, run by its path: `python supervisor.py NUMBER COMMAND…`. It imports nothing of ours, so it is
small, and Gunicorn's master needs no thread for it. On HUP the processes are terminated, and restarted with new code.
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
"""Seconds between a process's end and its restart; doubled after each run that was short."""
TERMINATION_TIMEOUT = 25.0


class ChildProcess:
    """One of the processes, and when to start it next."""

    def __init__(self, command: list[str]) -> None:
        """Start no process yet."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start_at = 0.0
        self._started_at = 0.0
        self._backoff = INITIAL_BACKOFF

    def ensure_running(self, now: float) -> None:
        """Start the process if it is not running and its backoff has passed."""
        if self._process is not None and self._process.poll() is not None:
            lifetime = now - self._started_at
            self._backoff = INITIAL_BACKOFF if lifetime > MAX_BACKOFF else min(2 * self._backoff, MAX_BACKOFF)
            self._next_start_at, self._process = now + self._backoff, None
        if self._process is None and now >= self._next_start_at:
            self._started_at = now
            self._process = subprocess.Popen([*self._command, "--parent", str(os.getpid())])  # noqa: S603 - ours

    def terminate(self) -> None:
        """Send SIGTERM if it is running."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end; it is killed when the deadline passes."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()


def supervise(children: list[ChildProcess], parent_pid: int) -> None:
    """Keep processes running until the parent process has ended or this one receives SIGTERM or SIGINT."""
    stop_signals: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stop_signals.append(number)

    def restart(number: int, frame: FrameType | None) -> None:
        _terminate_all(children)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, restart)
    while os.getppid() == parent_pid and not stop_signals:
        for child in children:
            child.ensure_running(time.monotonic())
        time.sleep(CHECK_INTERVAL)
    deadline = time.monotonic() + TERMINATION_TIMEOUT
    _terminate_all(children)
    for child in children:
        child.wait(deadline)


def _terminate_all(children: list[ChildProcess]) -> None:
    for child in children:
        child.terminate()


if __name__ == "__main__":
    supervise([ChildProcess(sys.argv[2:]) for _ in range(int(sys.argv[1]))], os.getppid())
