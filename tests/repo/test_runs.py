"""A run of the tests says what it did, shares what is dear, and fails when it leaves something behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT

LEFT_IN_THE_TREE = PROJECT / "left-behind-by-a-test.txt"
UNTIDY = f"""
import pathlib, socket, subprocess, sys, tempfile, threading, time

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
kept = []

def test_leaves_a_process():
    kept.append(subprocess.Popen(SLEEP))

def test_leaves_an_orphan():
    # Its parent ends at once.
    orphan = f"import subprocess; subprocess.Popen({{SLEEP!r}} + ['orphan'])"
    subprocess.run([sys.executable, "-c", orphan], check=True)

def test_leaves_a_thread():
    threading.Thread(target=time.sleep, args=(600,), name="forgotten", daemon=True).start()

def test_leaves_a_port():
    kept.append(socket.create_server(("127.0.0.1", 0)))
    print("port", kept[-1].getsockname()[1])

def test_leaves_a_file():
    pathlib.Path(tempfile.gettempdir(), "forgotten.sock").touch()

def test_leaves_something_in_the_tree():
    pathlib.Path({str(LEFT_IN_THE_TREE)!r}).touch()
"""
TIDY = """
import pathlib, socket, sys, tempfile, threading
from webapp.lab.services import processes

def test_cleans_up(tmp_path, database):
    processes.start("service", [sys.executable, "-c", ""], tmp_path / "log").wait()
    thread = threading.Thread(target=str)
    thread.start()
    thread.join()
    socket.create_server(("127.0.0.1", 0)).close()
    with tempfile.TemporaryFile():
        (tmp_path / "kept for a while").touch()

def test_starts_another(tmp_path):
    processes.start("service", [sys.executable, "-c", ""], tmp_path / "log").wait()
"""


def run(folder: Path, tests: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run these tests with our conftest, as a run of their own."""
    file = folder / "test_generated.py"
    file.write_text(tests)
    ours = ["-p", "tests.conftest", "-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(folder)]
    command = [sys.executable, "-m", "pytest", *ours, *arguments, str(file)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


ALONE_OR_NOT = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])


@ALONE_OR_NOT
def test_a_run_fails_that_leaves_something_behind_names_it_and_clears_it_away(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    try:
        done = run(tmp_path, UNTIDY, *workers)
    finally:
        LEFT_IN_THE_TREE.unlink(missing_ok=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    left = done.stdout[done.stdout.index("left behind: the run fails") :]
    assert re.search(r"process \d+: .*time.sleep\(600\)$", left, re.MULTILINE)
    assert re.search(r"process \d+: .*time.sleep\(600\) orphan$", left, re.MULTILINE)
    assert "thread forgotten" in left
    assert re.search(r"listening port \d+", left)
    assert f"changed in the working tree: ?? {LEFT_IN_THE_TREE.name}" in left
    (folder,) = re.findall(r"file (.*)/forgotten\.sock", left)
    assert not Path(folder).exists()
    for pid in re.findall(r"process (\d+)", left):
        assert not Path("/proc", pid, "exe").exists()


@ALONE_OR_NOT
def test_a_run_that_cleans_up_passes_and_says_what_it_did(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = run(tmp_path, TIDY, "--databases", "mysql", "--require", "mysql", *workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left behind" not in done.stdout
    assert "passed on mysql: 1 tests" in done.stdout
    assert "starts of a service: 2" in done.stdout
    assert re.search(r"\d\.\d s +test_generated.py::test_cleans_up\[mysql\]", done.stdout)


@ALONE_OR_NOT
def test_a_run_fails_without_a_test_on_the_database_that_is_required(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = run(tmp_path, TIDY, "--databases", "sqlite", "--require", "mysql", *workers)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "No test ran on mysql: the run fails." in done.stdout
