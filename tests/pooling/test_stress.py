from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import PROJECT


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once_breaks_no_promise(seed: int) -> None:
    command = [sys.executable, "-m", "bench.stress", "--minutes", str(4 / 60), "--seed", str(seed)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, counted, verdict = done.stdout.splitlines()
    assert verdict == "every promise held"
    counts = json.loads(counted)
    # How much of it, the machine decides.
    assert counts["borrowed"] > 100
    assert [what for what in ("forgotten", "invalidated", "detached") if not counts.get(what)] == []
