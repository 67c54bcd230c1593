"""The service's reports say where they were made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from poolproof.lab.reporting.report import load_report
from tests.unit.poolproof.lab.reporting.test_report import REPORT
from webapp.lab.reporting.service_reports import output_report


def test_a_report_says_where_it_was_measured_and_no_secret(
    app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context():
        page = output_report(replace(REPORT, environment={}), tmp_path, as_json=False)
    environment = load_report(tmp_path, page.stem).environment
    assert {"Machine", "Processor", "Python", "Libraries", "Database", "Configuration"} <= set(environment)
    assert any(name in environment["Database"] for name in ("sqlite", "mysql", "mariadb"))
    assert "k" * 40 not in page.read_text() + capsys.readouterr().out
