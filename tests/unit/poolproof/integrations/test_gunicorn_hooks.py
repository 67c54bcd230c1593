"""What a worker of Gunicorn does when it starts and when it ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from poolproof.engine import dispose_engines
from poolproof.fleet import agent
from poolproof.fleet.agent import FleetAgent
from poolproof.fleet.registry import FleetDirectory
from poolproof.health import housekeeper
from poolproof.integrations import gunicorn_hooks
from poolproof.transactions import group_commit


class Threads:
    """The request threads of a worker."""

    def queued(self) -> int:
        return 2

    def stuck_for(self) -> float:
        return 1.23456


class Worker:
    """The third worker of its master."""

    log = logging.getLogger("gunicorn.error")
    age = 3
    tpool: object = Threads()


def test_a_worker_is_registered_with_the_state_of_its_threads_and_says_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = FleetDirectory(tmp_path / "fleet" / "machine")
    own = FleetAgent(directory, lambda: ({"count": 1}, {"lanes": {}}), str, lambda overrides: None)
    monkeypatch.setattr(agent, "_instances", {own})
    gunicorn_hooks.post_worker_init(Worker())
    (member,) = directory.snapshot().members
    assert (member.identity["name"], member.identity["number"]) == ("worker", 3)
    assert own.extra_status() == {"threads": {"queued": 2, "stuck_for": 1.235}}
    agent.stop_all()
    assert directory.snapshot().members == []
    assert directory.crashed() == []


def test_gunicorns_own_threads_serve_as_well_and_tell_nothing_of_their_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = FleetDirectory(tmp_path / "fleet" / "machine")
    own = FleetAgent(directory, lambda: ({}, {"lanes": {}}), str, lambda overrides: None)
    monkeypatch.setattr(agent, "_instances", {own})
    worker = Worker()
    with ThreadPoolExecutor(1) as threads:
        worker.tpool = threads
        gunicorn_hooks.post_worker_init(worker)
        assert own.extra_status() == {}
    agent.stop_all()


def test_a_worker_writes_what_waits_before_it_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    steps: list[tuple[Any, str]] = [(group_commit, "stop_all"), (agent, "stop_all"), (housekeeper, "stop")]
    for module, name in steps:
        monkeypatch.setattr(module, name, lambda module=module: order.append(module.__name__.rpartition(".")[2]))
    monkeypatch.setattr(gunicorn_hooks, dispose_engines.__name__, lambda: order.append("engines"))
    gunicorn_hooks.worker_exit()
    assert order == ["group_commit", "agent", "housekeeper", "engines"]


@pytest.mark.parametrize("kind", ["asgi", "sync"])
def test_a_worker_without_threads_is_refused_at_boot_with_one_sentence(kind: str, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "def post_worker_init(worker):\n"
        "    from poolproof.integrations.gunicorn_hooks import post_worker_init as register\n"
        "    register(worker)\n"
    )
    (tmp_path / "application.py").write_text("def application(environ, start_response): ...\n")
    command = [sys.executable, "-m", "gunicorn", "-k", kind, "-b", "127.0.0.1:0", "--no-control-socket", "application"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == gunicorn_hooks.WORKER_BOOT_ERROR
    assert done.stderr.count("cannot serve this application. Poolproof needs a thread for each request") == 1
    assert "Traceback" not in done.stderr
