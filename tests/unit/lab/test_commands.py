"""The lab on the command line: what is kept can be found again, and what is missing is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.support import PROJECT
from tests.support.commands import called
from tests.unit.lab.reporting.test_report import REPORT
from webapp.lab.reporting import report as reporting_report


def test_kept_reports_are_listed_and_two_are_put_side_by_side(tmp_path: Path) -> None:
    kept, url = tmp_path / "reports", f"sqlite:///{tmp_path}/unused.sqlite"
    names = [reporting_report.save_report(replace(REPORT, title=title), kept).stem for title in ("First", "Second")]
    listed = called(url, tmp_path, "lab", "reports")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in names)
    done = called(url, tmp_path, "lab", "compare", *names, "--json")
    found = json.loads(done.stdout)
    assert found["tables"][0]["rows"][0] == ["1", 123.456, 123.456, 1.0, None, None, None]
    assert Path(found["page"]).parent == kept
    assert "comparison" in Path(found["page"]).read_text()


def test_a_folder_without_reports_and_a_name_that_is_none_are_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/unused.sqlite"
    listed = called(url, tmp_path, "lab", "reports", "--reports", str(tmp_path / "empty"))
    assert "There is no report in" in listed.stdout
    done = called(url, tmp_path, "lab", "compare", "one", "two")
    assert done.returncode == 1
    assert "There is no report one" in done.stderr
    assert "Traceback" not in done.stderr


WITHOUT_MATPLOTLIB = """
import json, subprocess, sys
sys.modules["matplotlib"] = None
from click.testing import CliRunner
from webapp.app import create_app
from webapp.cli import create_cli
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(create_cli(lambda: create_app(with_routes=False)), ["lab", *arguments])
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


def without_matplotlib(environment: dict[str, str], *calls: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Call `poolproof lab` some times as if the extra were not installed, all in one process."""
    command = [sys.executable, "-c", WITHOUT_MATPLOTLIB, json.dumps(calls)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [subprocess.CompletedProcess(call, *line) for call, line in zip(calls, lines, strict=True)]
