"""What README shows is what the kept reports say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
REPORTS = HOUSE / "docs/reports"
README = (HOUSE / "README.md").read_text()


def bench(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"bench.{script}", *map(str, arguments)]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def judged() -> subprocess.CompletedProcess[str]:
    """The kept figures of the push, put into a table and judged."""
    return bench("push", "--kept", REPORTS / "push.json")


def test_the_table_of_the_push_is_the_kept_one(judged: subprocess.CompletedProcess[str]) -> None:
    rows = [line for line in judged.stdout.splitlines() if line.startswith("|")]
    assert len(rows) > 5, judged.stderr
    assert [row for row in rows if row not in README] == []


def test_the_kept_push_has_met_every_bound_and_lost_nothing(judged: subprocess.CompletedProcess[str]) -> None:
    assert judged.stdout.count("  ok  ") == 6
    assert "MISSED" not in judged.stdout
    assert judged.returncode == 0


def test_the_picture_of_the_push_is_drawn_from_the_kept_figures(tmp_path: Path) -> None:
    drawn = tmp_path / "push.svg"
    assert bench("plot", REPORTS / "push.json", drawn).returncode == 0
    assert drawn.read_text() == (HOUSE / "docs/push.svg").read_text()


@pytest.mark.parametrize("report", sorted(path.name for path in REPORTS.iterdir() if path.name != "README.md"))
def test_every_kept_report_is_listed_with_the_command_that_repeats_it(report: str) -> None:
    listed = (REPORTS / "README.md").read_text()
    row = next((line for line in listed.splitlines() if f"]({report})" in line), "")
    assert re.search(r"`(poolproof lab|python bench/|make bench)", row), f"{report} is not in the list of reports"
