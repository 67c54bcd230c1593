"""The lab on the command line: what is kept can be found again, and what is missing is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.test_reporting import REPORT
from tests.support import PROJECT
from webapp.lab import reporting
from webapp.lab.services.poolproof_service import environment_for
from webapp.lab.services.poolproof_service import poolproof as run_poolproof


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_for("", tmp_path)


def test_kept_reports_are_listed_and_two_are_put_side_by_side(environment: dict[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "reports"
    names = [reporting.write(replace(REPORT, title=title), kept).stem for title in ("First", "Second")]
    listed = run_poolproof(environment, "lab", "reports")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in names)
    done = run_poolproof(environment, "lab", "compare", *names, "--json")
    found = json.loads(done.stdout)
    assert found["tables"][0]["rows"][0] == ["1", 123.456, 123.456, 1.0, None, None, None]
    assert Path(found["page"]).parent == kept
    assert "comparison" in Path(found["page"]).read_text()


def test_a_folder_without_reports_and_a_name_that_is_none_are_told(environment: dict[str, str], tmp_path: Path) -> None:
    listed = run_poolproof(environment, "lab", "reports", "--reports", str(tmp_path / "empty"))
    assert "There is no report in" in listed.stdout
    done = run_poolproof(environment, "lab", "compare", "one", "two")
    assert done.returncode == 1
    assert "There is no report one" in done.stderr
    assert "Traceback" not in done.stderr


def without_matplotlib(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `poolproof` as if the extra were not installed."""
    code = "import sys; sys.modules['matplotlib'] = None; from webapp.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
