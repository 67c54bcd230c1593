"""Services started from a command, on free ports, each with a log of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from webapp.lab.services.processes import HOST, start, stop, tail

START_TIMEOUT, STOP_TIMEOUT = 90.0, 45.0
POLL_INTERVAL = 0.05
"""Seconds."""
PROCESS_KIND = "service"
"""Kind under which starts are counted."""


class NotServingError(Exception):
    """A service did not start or did not end; the text ends with its log."""


@dataclass(frozen=True)
class ServiceSpec:
    """How a service is started: `{port}` in the command is its port, `ready_path` answers 200 when it serves."""

    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready_path: str = "/healthz"
    folder: Path | None = None
    """Working directory; by default the folder of its log."""


@dataclass(frozen=True)
class RunningService:
    """A service that is ready."""

    title: str
    port: int
    pid: int
    log: Path


@contextmanager
def run_service(spec: ServiceSpec, folder: Path, port: int) -> Iterator[RunningService]:
    """Serve until the block ends; the log is in `folder`.

    Raises:
        NotServingError: when it ends by itself, or is not ready in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    log.write_bytes(b"")
    command = [part.format(port=port) for part in spec.command]
    process = start(PROCESS_KIND, command, log, spec.environment, spec.folder or folder)
    try:
        wait_until_ready(spec.title, process, log, port, spec.ready_path)
        yield RunningService(spec.title, port, process.pid, log)
    finally:
        stop(process, STOP_TIMEOUT)


def wait_until_ready(title: str, process: subprocess.Popen[bytes], log: Path, port: int, path: str) -> None:
    """Wait until a GET of `path` is answered with 200.

    Raises:
        NotServingError: when the process ends, or after the time-out.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if _is_ready(port, path):
            return
        time.sleep(POLL_INTERVAL)
    raise NotServingError(f"{title} did not start. Its log ends:\n{tail(log)}")


def gunicorn(
    application: str,
    workers: int,
    threads: int,
    *options: str,
    program: Sequence[str] = (sys.executable, "-m", "gunicorn"),
) -> list[str]:
    """Return the command of a plain Gunicorn with request threads."""
    return [
        *program, "--worker-class", "gthread", "--workers", str(workers), "--threads", str(threads),
        *options, "--keep-alive", "15", "--bind", f"{HOST}:{{port}}", "--log-level", "warning", "--no-control-socket",
        application,
    ]  # fmt: skip


def _is_ready(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(100)
    except OSError:
        return False
