"""Services that the lab starts on free ports and stops again, each with a log of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_WITHIN, STOP_WITHIN = 90.0, 45.0
LOOKS_EVERY = 0.2
"""Seconds."""
LAST_WORDS = 2000
HOST = "127.0.0.1"


class NotServingError(Exception):
    """A service did not start; the text ends with its log."""


@dataclass(frozen=True)
class Recipe:
    """How a service is started: `{port}` in the command is where it listens, `ready` answers 200 when it does."""

    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: str = "/healthz"


@dataclass(frozen=True)
class Served:
    """A service that answers."""

    title: str
    port: int
    pid: int
    log: Path


@contextmanager
def served(recipe: Recipe, folder: Path, port: int) -> Iterator[Served]:
    """Serve until the block ends.

    Raises:
        NotServingError: when it ends by itself, or does not answer in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    command = [part.format(port=port) for part in recipe.command]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the lab, which stops what it has started.
        process = subprocess.Popen(  # noqa: S603 - commands of the lab
            command, cwd=folder, env=dict(recipe.environment), stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_for(recipe, port, process, log)
        yield Served(recipe.title, port, process.pid, log)
    finally:
        _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def gunicorn(application: str, workers: int, threads: int) -> list[str]:
    """Return the command of a plain Gunicorn with request threads."""
    return [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(workers),
        "--threads", str(threads), "--worker-connections", "20000", "--keep-alive", "15", "--bind", f"{HOST}:{{port}}",
        "--log-level", "warning", "--no-control-socket", application,
    ]  # fmt: skip


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(recipe: Recipe, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(port, recipe.ready):
            return
        time.sleep(LOOKS_EVERY)
    words = log.read_text(errors="replace")[-LAST_WORDS:]
    raise NotServingError(f"{recipe.title} did not start. Its log ends:\n{words}")


def _answers(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(100)
    except OSError:
        return False
