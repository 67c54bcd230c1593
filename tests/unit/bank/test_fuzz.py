"""Broken files for every parser, for longer than a run of all tests would have time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import PROJECT


@pytest.mark.soak
def test_no_file_breaks_a_parser() -> None:
    command = [sys.executable, "-m", "bench.fuzz", "--minutes", "0.5"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
