"""Faults in the middle of a push: everybody comes through, and nothing that was acknowledged is missing or changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import PROJECT
from webapp.lab.services.database_server import Server
from webapp.lab.services.poolproof_service import Service, serving

pytestmark = pytest.mark.usefixtures("prepared")

USERS = "120"
FLEET = {"POOLPROOF_WORKERS": "2", "POOLPROOF_THREADS": "2", "POOL_BACKGROUND": "1"}


def kill_the_database(server: Server, service: Service) -> None:
    server.kill()
    time.sleep(3)
    server.start("--max-connections=20")


def freeze_the_database(server: Server, service: Service) -> None:
    server.pause()
    time.sleep(3)
    server.resume()


def kill_a_worker(server: Server, service: Service) -> None:
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text(encoding="ascii")
    os.kill(int(children.split()[0]), signal.SIGKILL)


def reload(server: Server, service: Service) -> None:
    service.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("fault", [kill_the_database, freeze_the_database, kill_a_worker, reload])
def test_everybody_comes_through_and_every_acknowledged_answer_is_stored(
    server: Server, tmp_path: Path, fault: Callable[[Server, Service], None]
) -> None:
    with serving(server.url("poolproof"), tmp_path, **FLEET) as service:
        pushing = push(service)
        # The load's processes need some seconds until they begin; then each person takes a while over it.
        time.sleep(5)
        fault(server, service)
        output, errors = pushing.communicate(timeout=180)
        report: dict[str, Any] = json.loads(output)
    assert report["proof"]["answers"] > 0, errors
    assert (report["proof"]["missing"], report["proof"]["changed"], report["proof"]["unfinished"]) == (0, 0, 0)
    assert report["failed"] == {}
    assert report["done"] == report["users"]


def push(service: Service) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "webapp", "lab", "push", "--users", USERS, "--within", "1", "--think", "0.5"]
    return subprocess.Popen(
        [*command, "--url", service.address, "--json"],
        cwd=PROJECT,
        env=service.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
