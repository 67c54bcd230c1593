from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import PROJECT


def stressed(minutes: float, seed: int, *more: str) -> dict[str, int]:
    command = [sys.executable, "-m", "bench.stress", "--minutes", str(minutes), "--seed", str(seed), *more]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, counted, verdict = done.stdout.splitlines()
    assert verdict == "every promise held"
    counts: dict[str, int] = json.loads(counted)
    return counts


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once_breaks_no_promise(seed: int) -> None:
    counts = stressed(1, seed, "--borrowings", "2000")
    assert counts["borrowed"] >= 2000
    assert [what for what in ("forgotten", "invalidated", "detached") if not counts.get(what)] == []


@pytest.mark.soak
def test_everything_at_once_breaks_no_promise_for_minutes() -> None:
    assert stressed(3, seed=3)["borrowed"] >= 2000
