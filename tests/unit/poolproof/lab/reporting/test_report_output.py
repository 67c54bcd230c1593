from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from poolproof.lab.reporting.report_output import ProgressDisplay, logging_disabled, output_report
from tests.unit.poolproof.lab.reporting.test_report import REPORT


def test_a_report_is_printed_in_lines_that_end_with_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = output_report(REPORT, tmp_path, as_json=False)
    assert capsys.readouterr().out.splitlines() == [REPORT.verdict, f"- {REPORT.findings[0]}", f"The report: {page}"]
    assert output_report(REPORT, tmp_path, as_json=True) != page
    assert json.loads(capsys.readouterr().out)["verdict"] == REPORT.verdict


def test_progress_is_printed_once_for_each_topic_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = ProgressDisplay(60)
    progress.update("1 of 2: begins", remaining=90)
    progress.update("1 of 2: goes on")
    progress.update("2 of 2: begins", remaining=30)
    progress.finish()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ·")[0] for line in lines] == ["1 of 2: begins", "2 of 2: begins"]
    assert lines[0].startswith("1 of 2: begins · about 1:")


def test_nothing_is_logged_while_connections_are_broken_on_purpose(caplog: pytest.LogCaptureFixture) -> None:
    with logging_disabled():
        logging.getLogger("broken").error("one")
    logging.getLogger("broken").error("two")
    assert caplog.messages == ["two"]
