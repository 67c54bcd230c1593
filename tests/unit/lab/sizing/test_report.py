"""What the report of a sweep says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.lab.sizing.test_sweep import Known, swept
from webapp.lab.reporting import report as reporting_report
from webapp.lab.sizing.commands import LATEST_FILE, save_latest
from webapp.lab.sizing.recommendation import FittedSize
from webapp.lab.sizing.report import RunContext, build_report

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


def told(**context: Any) -> reporting_report.LabReport:
    sweep, found = swept(Known())
    return build_report(found, FITTED_SIZE, sweep.results, replace(CONTEXT, **context))


def test_it_has_settings_to_paste_figures_and_every_run() -> None:
    found = told()
    assert "POOL_SIZE=6" in found.settings
    assert [figure.title for figure in found.figures] == ["Throughput", "Latency against load"]
    assert len(found.rows) == len(swept(Known())[0].results)
    assert json.dumps(found.data)


def test_its_findings_name_the_peak_the_need_and_the_check_of_the_figures() -> None:
    said = " ".join(told().findings)
    for part in ("The peak is at", "connections are busy in the mean", "Little's law holds", "needs 23"):
        assert part in said


def test_a_machine_that_was_busy_before_is_named() -> None:
    assert not any("other work disturbs" in finding for finding in told().findings)
    assert any("90% of the processors were busy already" in finding for finding in told(cpu_before=0.9).findings)


def test_what_is_recommended_is_kept_for_the_console(tmp_path: Path) -> None:
    save_latest(told(), tmp_path)
    kept = json.loads((tmp_path / LATEST_FILE).read_text())
    assert {"at", "database", "workers", "threads", "pool", "needs", "throughput", "p99", "limits"} <= set(kept)
    assert (kept["pool"], kept["needs"]) == (6, 23)


def test_a_run_that_was_stopped_says_so_and_keeps_no_recommendation(tmp_path: Path) -> None:
    found = told(is_complete=False)
    save_latest(found, tmp_path)
    assert "Stopped after" in found.verdict
    assert not (tmp_path / LATEST_FILE).exists()


def test_a_run_without_figures_says_that_nothing_was_measured() -> None:
    found = build_report(None, None, [], replace(CONTEXT, is_complete=False))
    assert found.verdict.startswith("Nothing was measured.")
    assert reporting_report.as_html(replace(found, environment={"database": "x"}, at="now"))
