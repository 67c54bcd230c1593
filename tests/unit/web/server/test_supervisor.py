"""Processes beside a server: started again when they end, gone when the server is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from webapp.web.server import supervisor

CHILD = """
import pathlib, signal, sys, os, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(600)
"""


SUPERVISOR = """
import os, runpy, sys
module = runpy.run_path(sys.argv[1])
supervise, ChildProcess = module["supervise"], module["ChildProcess"]
# What is waited for between an end and the next start is not what these tests are about.
supervise.__globals__.update(CHECK_INTERVAL=0.02, INITIAL_BACKOFF=0.02)
supervise([ChildProcess(sys.argv[3:]) for _ in range(int(sys.argv[2]))], os.getppid())
"""


def living(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir() if is_running(int(path.name))}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "running").mkdir()
    return tmp_path / "running"


@pytest.fixture
def supervising(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SUPERVISOR, supervisor.__file__, "2", sys.executable, "-c", CHILD, str(folder)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: len(living(folder)) == 2)
        yield process
        process.kill()
    for pid in living(folder):
        os.kill(pid, signal.SIGKILL)


def test_one_that_is_killed_is_started_again(folder: Path, supervising: subprocess.Popen[bytes]) -> None:
    first, second = living(folder)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: first not in living(folder) and len(living(folder)) == 2)
    assert second in living(folder)


def test_told_to_end_it_ends_them_in_order(folder: Path, supervising: subprocess.Popen[bytes]) -> None:
    supervising.terminate()
    assert supervising.wait(30) == 0
    assert living(folder) == set()


def test_a_reload_begins_them_anew(folder: Path, supervising: subprocess.Popen[bytes]) -> None:
    before = living(folder)
    supervising.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & living(folder) and len(living(folder)) == 2)


def test_they_are_gone_when_the_server_is(folder: Path) -> None:
    command = [sys.executable, supervisor.__file__, "1", sys.executable, "-c", CHILD, str(folder)]
    server = f"import subprocess, time; subprocess.Popen({command!r}); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", server]) as process:
        wait_until(lambda: len(living(folder)) == 1)
        process.kill()
    wait_until(lambda: living(folder) == set())
