from __future__ import annotations

from pathlib import Path

from poolproof.lab.reporting.report import as_html
from poolproof.lab.scenario.load_processes import LoadResult
from poolproof.lab.scenario.report import MAX_ROWS, LoadContext, build_report, mean_under_way
from poolproof.lab.scenario.visitor import RequestSample
from tests.unit.poolproof.lab.scenario.test_visitor import scenario_of

SAMPLES = tuple(RequestSample("GET /", 10.0 + number / 10, 0.2, "200", is_right=True) for number in range(99))
WRONG = RequestSample("GET /", 19.9, 0.1, "503", is_right=False)


def test_a_load_says_how_fast_what_failed_and_how_many_were_under_way(tmp_path: Path) -> None:
    context = LoadContext(scenario_of(tmp_path), "http://127.0.0.1:8000", "the command")
    report = build_report(LoadResult((*SAMPLES, WRONG), 10.0, 0.1), context)
    assert report.verdict.startswith("100 requests in 10.0 s, 10 a second; 1 of them failed. p50 200 ms")
    assert (report.grade, report.data["errors"], report.data["wrong"]) == ("bad", {"503": 1}, 1)
    assert "2.0 requests were under way" in report.findings[0]
    assert "more than 2 are" in report.findings[0]
    assert "1 × GET /: 503." in report.findings
    assert "What failed" in as_html(report)
    assert build_report(LoadResult(SAMPLES, 10.0, 0.1), context).grade == "good"


def test_nothing_measured_and_a_load_that_was_stopped_say_so(tmp_path: Path) -> None:
    context = LoadContext(scenario_of(tmp_path), "x", "y")
    assert build_report(LoadResult((), 10.0, 0.0), context).verdict == "Nothing was measured."
    assert "stopped early" in build_report(LoadResult(SAMPLES, 10.0, 0.99, is_complete=False), context).verdict


def test_a_page_does_not_list_more_than_it_can_hold(tmp_path: Path) -> None:
    many = SAMPLES * 500
    report = build_report(LoadResult(many, 10.0, 0.1), LoadContext(scenario_of(tmp_path), "x", "y"))
    assert MAX_ROWS / 2 < len(report.rows) <= MAX_ROWS
    assert mean_under_way(many, 100.0) > 1
