"""The service as it is deployed: `poolproof serve`, Gunicorn and all, in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers import die_with_parent, free_port

START_WITHIN = 60.0
PROJECT = Path(__file__).resolve().parent.parent


@dataclass
class Service:
    """A running service; `password` is the first author's, printed at the first start."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str]
    project: Path = PROJECT
    console: str = ""
    """Address at which operators look."""

    @property
    def password(self) -> str:
        """The first author's password, as it was printed."""
        found = re.search(r"password +(\S+)", self.log.read_text())
        assert found, self.log.read_text()
        return found[1]

    def command(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `poolproof` with the service's own environment; `given` is its standard input."""
        return poolproof(self.environment, *arguments, given=given)

    def stop(self) -> None:
        """Shut down in order and wait for it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)

    def start(self) -> None:
        """Serve again at the same address; returns when it answers."""
        self.process = _process(self.log, self.environment, self.project)
        _wait_for(self)


@contextmanager
def serving(database_url: str, folder: Path, project: Path = PROJECT, **environment: str) -> Iterator[Service]:
    """Serve `database_url` on a free port until the block ends; `project` may be a copy of this one."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    console = f"127.0.0.1:{free_port()}"
    variables = environment_for(
        database_url, folder, **{"POOLPROOF_BIND": address, "POOLPROOF_CONSOLE_BIND": console, **environment}
    )
    log = folder / "log"
    log.write_bytes(b"")
    service = Service(f"http://{address}", _process(log, variables, project), log, variables, project)
    service.console = f"http://{variables['POOLPROOF_CONSOLE_BIND']}"
    try:
        _wait_for(service)
        yield service
    finally:
        service.stop()


def environment_for(database_url: str, instance: Path, **more: str) -> dict[str, str]:
    """Return an environment with the service's settings and none of this machine's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    # A process less to start where no test looks at collections.
    quiet = {"POOLPROOF_COLLECTORS": "0"}
    return {**kept, "DATABASE_URL": database_url, "POOLPROOF_INSTANCE": str(instance), **quiet, **more}


def poolproof(environment: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `poolproof` as a person would; `given` is its standard input."""
    command = [sys.executable, "-m", "webapp", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, input=given, capture_output=True, text=True, check=False
    )  # fmt: skip


def _process(log: Path, variables: dict[str, str], project: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        command = [sys.executable, "-m", "webapp", "serve"]
        return subprocess.Popen(
            command, cwd=project, env=variables, stdout=output, stderr=output, preexec_fn=die_with_parent  # noqa: PLW1509
        )  # fmt: skip


def _wait_for(service: Service) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and service.process.poll() is None:
        try:
            if httpx.get(f"{service.address}/healthz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"The service did not start:\n{service.log.read_text()[-4000:]}")
