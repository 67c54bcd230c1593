"""The misbehaving app on our own Gunicorn, with several workers, and an operator who is signed in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers import die_with_parent, free_port
from tests.serving import PROJECT, environment_for, poolproof

PASSWORD = "an operator's password"


@dataclass
class Fleet:
    """A running service and its operator."""

    address: str
    console: str
    process: subprocess.Popen[bytes]
    log: Path
    operator: httpx.Client

    def data(self) -> dict[str, Any]:
        """What the console shows."""
        try:
            return self.operator.get("/console/data.json").raise_for_status().json()
        except httpx.TransportError:
            # The worker at the other end of the kept connection was killed; a browser asks again, too.
            return self.operator.get("/console/data.json").raise_for_status().json()

    def workers(self) -> dict[int, dict[str, Any]]:
        """The workers that the console shows, by process id."""
        return {one["pid"]: one for one in self.data()["processes"] if one["name"] == "worker"}

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def act(self, deed: str, **values: str) -> str:
        """Do a deed as a person would: ask for it, confirm it, read what came of it."""
        page = self.operator.get(f"/console/deeds/{deed}", params=values).raise_for_status().text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token, page
        form = {**values, "csrf_token": token[1]}
        done = self.operator.post(f"/console/deeds/{deed}", data=form, follow_redirects=True).raise_for_status().text
        return re.search(r'<p class="note [a-z]+" role="[a-z]+">(.*?)</p>', done, re.DOTALL)[1]


@contextmanager
def fleet(
    url: str, folder: Path, workers: int = 3, app: str = "tests.faults.misbehaving:app", **more: str
) -> Iterator[Fleet]:
    """Serve with so many workers; the operator is signed in."""
    folder.mkdir(parents=True, exist_ok=True)
    bind, console = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    addresses = {"POOLPROOF_BIND": bind, "POOLPROOF_CONSOLE_BIND": console, "POOLPROOF_WORKERS": str(workers)}
    variables = environment_for(url, folder, **addresses, **{"POOL_CHECK": "off", "POOLPROOF_THREADS": "4", **more})
    assert poolproof(variables, "db", "upgrade").returncode == 0
    user = ("user", "add", "grace", "--role", "operator", "--password-stdin")
    assert poolproof(variables, *user, given=f"{PASSWORD}\n").returncode == 0
    log = folder / "log"
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", app]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=variables, stdout=output, stderr=output, preexec_fn=die_with_parent  # noqa: PLW1509
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://{console}", timeout=20) as operator:
            running = Fleet(f"http://{bind}", f"http://{console}", process, log, operator)
            sign_in(running)
            eventually(lambda: len(running.workers()) == workers, log)
            yield running
    finally:
        process.terminate()
        process.wait(40)


def sign_in(running: Fleet) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            page = running.operator.get("/sign-in").text
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline, running.log.read_text()[-3000:]
            time.sleep(0.1)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
    form = {"name": "grace", "password": PASSWORD, "csrf_token": token}
    answer = running.operator.post("/sign-in", data=form, params={"next": "/console"})
    assert answer.headers["Location"] == "/console", answer.text


def eventually(what: Callable[[], bool], log: Path | None = None, within: float = 15.0) -> float:
    """Wait until something holds; return how long that took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() < began + within, log.read_text()[-3000:] if log else what
        time.sleep(0.05)
    return time.monotonic() - began
