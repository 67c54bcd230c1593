"""The benches of hostile clients and restarts run on the service as it is installed, and judge what they see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def bench(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"bench.{script}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def played(p99: float, failed: int = 0) -> dict[str, object]:
    return {"latency": {"count": 100, "p50": 0.01, "p95": 0.02, "p99": p99, "worst": p99}, "failed": failed}


@pytest.mark.parametrize(
    ("kind", "ratio", "failed", "is_worker_lost", "is_within"),
    [
        ("closing", 2.0, 0, False, True),
        ("closing", 2.1, 0, False, False),
        ("silent", 1.1, 0, False, True),
        ("silent", 1.2, 0, False, False),
        ("closing", 1.0, 1, False, False),
        ("closing", 1.0, 0, True, False),
    ],
)
def test_hostile_clients_are_within_the_bounds_or_not(
    tmp_path: Path, kind: str, ratio: float, failed: int, *, is_worker_lost: bool, is_within: bool
) -> None:
    one = {"alone": played(1.0), "beside": played(ratio, failed), "is_worker_lost": is_worker_lost}
    kept = tmp_path / "hostile.json"
    kept.write_text(json.dumps({kind: [one] * 3}))
    judged = bench("hostile", "--kept", kept, "--check")
    assert judged.returncode == (0 if is_within else 1), judged.stderr
    assert judged.stdout.rstrip().endswith("ok" if is_within else "BEYOND")


@pytest.mark.slow(reason="a service of its own, and clients for some seconds")
def test_the_clients_of_a_restart_see_their_answers() -> None:
    shown = bench("restarts", "--database", "sqlite", "--clients", "8", "--seconds", "3", "--only", "worker")
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["nothing", "worker"]
    assert all(int(line.split()[1]) > 8 for line in shown.stdout.splitlines())


@pytest.mark.slow(reason="a service of its own with a limit of open files, and clients for some seconds")
def test_hostile_clients_are_measured_beside_ordinary_ones() -> None:
    arguments = ("--rounds", "1", "--seconds", "1", "--only", "closing", "--database", "sqlite", "--soft-files", "512")
    shown = bench("hostile", *arguments)
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["p50", "closing"]
