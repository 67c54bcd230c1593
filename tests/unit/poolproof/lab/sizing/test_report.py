"""What the report of a sweep says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from poolproof.lab.reporting.report import LabReport, as_html
from poolproof.lab.sizing.recommendation import FittedSize
from poolproof.lab.sizing.report import RunContext, build_report
from tests.unit.poolproof.lab.sizing.test_sweep import Known, run_sweep
from webapp.lab.sizing.commands import LATEST_FILE, save_latest

CONTEXT = RunContext(
    workload_title="Known",
    database="mysql://host/x",
    at="2030-01-01T00:00:00+00:00",
    command="poolproof lab size",
    background_processes=1,
    cpu_before=0.0,
    planned_runs=50,
    is_complete=True,
)
FITTED_SIZE = FittedSize(6, 23, ("The fleet then needs 23.",))


def make_report(**context: Any) -> LabReport:
    sweep, recommendation = run_sweep(Known())
    return build_report(recommendation, FITTED_SIZE, sweep.results, replace(CONTEXT, **context))


def test_it_has_settings_to_paste_figures_and_every_run() -> None:
    report = make_report()
    assert "POOL_SIZE=6" in report.settings
    assert [figure.title for figure in report.figures] == ["Throughput", "Latency against load"]
    assert len(report.rows) == len(run_sweep(Known())[0].results)
    assert json.dumps(report.data)


def test_its_findings_name_the_peak_the_need_and_the_check_of_the_figures() -> None:
    findings = " ".join(make_report().findings)
    for part in ("The peak is at", "connections are busy in the mean", "Little's law holds", "needs 23"):
        assert part in findings


def test_a_machine_that_was_busy_before_is_named() -> None:
    assert not any("other work disturbs" in finding for finding in make_report().findings)
    assert any("90% of the processors were busy already" in finding for finding in make_report(cpu_before=0.9).findings)


def test_what_is_recommended_is_kept_for_the_console(tmp_path: Path) -> None:
    save_latest(make_report(), tmp_path)
    stored = json.loads((tmp_path / LATEST_FILE).read_text())
    assert {"at", "database", "workers", "threads", "pool", "needs", "throughput", "p99", "limits"} <= set(stored)
    assert (stored["pool"], stored["needs"]) == (6, 23)


def test_a_run_that_was_stopped_says_so_and_keeps_no_recommendation(tmp_path: Path) -> None:
    report = make_report(is_complete=False)
    save_latest(report, tmp_path)
    assert "Stopped after" in report.verdict
    assert not (tmp_path / LATEST_FILE).exists()


def test_a_run_without_figures_says_that_nothing_was_measured() -> None:
    report = build_report(None, None, [], replace(CONTEXT, is_complete=False))
    assert report.verdict.startswith("Nothing was measured.")
    assert as_html(replace(report, environment={"database": "x"}, at="now"))
