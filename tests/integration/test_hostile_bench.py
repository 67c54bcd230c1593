"""The benches of hostile clients and restarts run on the service as it is installed, and judge what they see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.file_limits import limited
from bench.hostile import BOUND, SILENT_BOUND, Round, Verdict
from bench.ordinary_players import Played
from webapp.lab.reporting.latency import summarize_latency


def played(p99: float, failed: int = 0) -> Played:
    return Played(summarize_latency([p99]), failed)


@pytest.mark.parametrize(
    ("kind", "ratio", "failed", "is_worker_lost", "is_within"),
    [
        ("closing", BOUND, 0, False, True),
        ("closing", BOUND + 0.1, 0, False, False),
        ("silent", SILENT_BOUND, 0, False, True),
        ("silent", SILENT_BOUND + 0.1, 0, False, False),
        ("closing", 1.0, 1, False, False),
        ("closing", 1.0, 0, True, False),
    ],
)
def test_hostile_clients_are_within_the_bounds_or_not(
    kind: str, ratio: float, failed: int, is_worker_lost: bool, is_within: bool
) -> None:
    rounds = [Round(played(1.0), played(ratio, failed), is_worker_lost)] * 3
    assert Verdict(kind, rounds).is_within_bounds is is_within
    assert Verdict(kind, rounds).line().endswith("ok" if is_within else "BEYOND")


@pytest.mark.parametrize(("limits", "shown"), [({"soft": 100}, "100"), ({"hard": 90}, "90"), ({}, None)])
def test_a_command_runs_with_the_limit_of_open_files(limits: dict[str, int], shown: str | None) -> None:
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    command = limited([sys.executable, "-c", program], **limits)
    soft, hard = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip("()\n").split(", ")
    assert soft == (shown or soft)
    assert (hard == shown) is ("hard" in limits)


@pytest.mark.slow(reason="a service of its own, and clients for some seconds")
def test_the_clients_of_a_restart_see_their_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.restarts", "--database", "sqlite", "--clients", "8", "--seconds", "3"]
    shown = subprocess.run([*command, "--only", "worker"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["nothing", "worker"]
    assert all(int(line.split()[1]) > 8 for line in shown.stdout.splitlines())
