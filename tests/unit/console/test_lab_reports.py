"""What the lab has measured, in the console."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from webapp.console import lab_reports

NAME = "20261126T074920Z-incident"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (NAME, "20261125T074920Z-size-2"):
        report = {"kind": "incident", "title": f"Title of {name}", "verdict": "Well.", "at": "2026-11-26 07:49:20 UTC"}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
        (tmp_path / f"{name}.html").write_text("<h1>Result</h1>")
    return tmp_path


def test_reports_are_listed_the_newest_first(folder: Path) -> None:
    assert [report.name for report in lab_reports.list_reports(folder)] == [NAME, "20261125T074920Z-size-2"]
    assert lab_reports.list_reports(folder)[0].title == f"Title of {NAME}"


def test_what_is_no_report_is_passed_over(folder: Path) -> None:
    (folder / "20261124T074920Z-drill.json").write_text("{")
    (folder / "notes.json").write_text("{}")
    assert len(lab_reports.list_reports(folder)) == 2
    assert lab_reports.list_reports(folder / "nowhere") == []


@pytest.mark.parametrize("name", ["nothing", "../secret_key", "20261126T074920Z-incident.html", "20261126T074920Z-/x"])
def test_only_a_reports_own_name_opens_a_file(folder: Path, name: str) -> None:
    (folder.parent / "secret_key").write_text("secret")
    assert lab_reports.read_report_page(folder, name) is None
    assert lab_reports.read_report_page(folder, NAME) == b"<h1>Result</h1>"


def test_the_latest_recommendation_is_read_and_a_broken_one_is_none(folder: Path) -> None:
    assert lab_reports.read_recommendation(folder) is None
    latest = {"at": "2026-11-26 09:00:00 UTC", "workers": 2, "threads": 8, "pool": 6, "throughput": 812.4, "p99": None}
    (folder / lab_reports.RECOMMENDATION_FILE).write_text(json.dumps(latest))
    recommendation = lab_reports.read_recommendation(folder)
    assert recommendation is not None
    assert (recommendation.connections, recommendation.p99) == (12, None)
    (folder / lab_reports.RECOMMENDATION_FILE).write_text('{"pool": "many"}')
    assert lab_reports.read_recommendation(folder) is None
