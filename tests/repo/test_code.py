"""Numbers that keep the house readable."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted((PROJECT / "webapp").rglob("*.py"))


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    assert {path.name: lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 300} == {}


def test_the_environment_is_read_in_one_module() -> None:
    reading = {path.name for path in MODULES if re.search(r"os\.environ|getenv|BaseSettings", path.read_text())}
    assert reading == {"settings.py"}


def test_commits_stand_in_one_module() -> None:
    # The lab's exhibit, and what it measures of an application, are how others write it.
    ours = [path for path in MODULES if path.name not in {"naive_app.py", "measured_engine.py"}]
    committing = {path.name for path in ours if re.search(r"(?<!super\(\))\.commit\(|\.begin\(\)", path.read_text())}
    assert committing == {"unit_of_work.py"}


@pytest.mark.skipif(
    shutil.which("git") is None or not (PROJECT / ".git").exists(), reason="only git knows what is committed"
)
def test_no_committed_file_names_a_path_of_this_machine_or_a_registry() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    forbidden = re.compile(rf"{re.escape(str(PROJECT))}/|--index-url|pypi\.org|deb\.debian\.org|registry\.npmjs")
    named = [
        name
        for name in files
        if name != "tests/repo/test_code.py" and forbidden.search((PROJECT / name).read_text(errors="ignore"))
    ]
    assert named == []
