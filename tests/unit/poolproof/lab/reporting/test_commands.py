from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from poolproof.lab.reporting.commands import compare, reports
from poolproof.lab.reporting.report import save_report
from tests.unit.poolproof.lab.reporting.test_report import REPORT


def test_stored_reports_are_listed_and_two_compared(tmp_path: Path) -> None:
    folder = ["--reports", str(tmp_path)]
    assert "There is no report in" in CliRunner().invoke(reports, folder).output
    names = [save_report(replace(REPORT, title=title), tmp_path).stem for title in ("First", "Second")]
    assert all(name in CliRunner().invoke(reports, folder).output for name in names)
    assert Path(json.loads(CliRunner().invoke(compare, [*names, *folder, "--json"]).output)["page"]).is_file()
    assert "There is no report" in CliRunner().invoke(compare, ["one", "two", *folder]).output
