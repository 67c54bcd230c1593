"""The commands that documents show, as a reader takes them: from the `console` blocks, in a copy of the project.

A block, or one command of it, may be marked as not run, with the reason, in a comment before it:

    <!-- not run: it needs root -->
    <!-- not run `make test`: it is what runs this -->
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from webapp.lab.services.processes import HOST, free_port, start, tail
from webapp.settings import PROJECT_ROOT, child_environment

BLOCK = re.compile(r"((?:^<!--[^\n]*-->\n)*)^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- not run(?: `([^`]+)`)?: (\S.*) -->")
NOT_COPIED = (".git", ".venv*", "instance", "__pycache__", ".*_cache", "*.egg-info")
PROGRAMS = {"poolproof": "-m webapp", "gunicorn": "-m gunicorn"}
SERVE_TIMEOUT, STOP_TIMEOUT = 900.0, 60.0
"""Seconds. `make run` may have to make its environment."""


@dataclass(frozen=True)
class Command:
    """A command of a document."""

    page: str
    text: str
    is_marked: bool


def commands(page: str) -> Iterator[Command]:
    """Return the commands of a document, in their order."""
    for comments, block in BLOCK.findall((PROJECT_ROOT / page).read_text()):
        marked = {text for text, _ in MARK.findall(comments)}
        for line in block.splitlines():
            if line.startswith("$ "):
                text = re.sub(r"\s+#.*", "", line[2:]).strip()
                yield Command(page, text, is_marked=bool(marked & {"", text}))


class Copy:
    """A copy of the project, in which commands are run as they stand; the service's addresses are free ones."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Copy the files, and nothing that was made in the project's folder."""
        self.folder = folder / "poolproof"
        shutil.copytree(PROJECT_ROOT, self.folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
        self.port = free_port()
        binds = {"POOLPROOF_BIND": f"{HOST}:{self.port}", "POOLPROOF_CONSOLE_BIND": f"{HOST}:{free_port()}"}
        inherited = child_environment({**binds, **settings}, inherit_settings=False)
        # Modules are those of the copy.
        self.environment: Mapping[str, str] = {name: inherited[name] for name in inherited if name != "PYTHONPATH"}

    def give_programs(self) -> None:
        """Put `poolproof` and `gunicorn` where `make run` puts them, with this Python's libraries: it takes no time."""
        programs = self.folder / ".venv" / "run" / "bin"
        programs.mkdir(parents=True)
        for name, arguments in PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (programs / name).chmod(stat.S_IRWXU)
        sources = f"{self.folder}:{self.folder / 'webapp' / 'pooling' / 'src'}"
        path = f"{programs}:{self.environment['PATH']}"
        self.environment = {**self.environment, "PATH": path, "PYTHONPATH": sources}

    def run(self, command: str) -> str:
        """Run a command to its end; return what it says."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def run_server(self, command: str) -> Iterator[Path]:
        """Run a command that serves until the block ends, then press Ctrl-C; return its log."""
        log = self.folder / "log"
        log.write_bytes(b"")
        process = start("service", ["bash", "-c", command], log, self.environment, self.folder)
        try:
            ends_at = time.monotonic() + SERVE_TIMEOUT
            while not self._is_served():
                assert process.poll() is None, f"{command} ended:\n{tail(log)}"
                assert time.monotonic() < ends_at, f"{command} did not serve:\n{tail(log)}"
                time.sleep(0.1)
            yield log
        finally:
            # On a terminal it reaches everything that the command has started.
            _signal_group(process, signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                raise AssertionError(f"{command} did not end:\n{tail(log)}") from None

    def _is_served(self) -> bool:
        try:
            return httpx2.get(f"http://{HOST}:{self.port}/healthz", timeout=10, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    os.killpg(process.pid, number)
