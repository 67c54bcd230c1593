"""A report is one page that needs nothing else, and can be read again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from poolproof.lab.reporting import report as reporting_report
from poolproof.lab.reporting.report import Figure, LabReport, NoSuchReportError, Table, format_value

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><text>light</text></svg>'
REPORT = LabReport(
    kind="size",
    title="Which size? <b>Eight</b>",
    verdict="Eight connections are enough; more made it slower.",
    findings=("At 8 it did 900 answers a second & no more.",),
    command="poolproof lab size --users 64",
    settings="POOL_SIZE=8",
    tables=(Table("Sizes", ("size", "answers/s", "worst (s)"), ((1, 123.456, None), (8, 900.0, 0.0312)), "One run."),),
    figures=(Figure("Throughput", SVG, SVG.replace("light", "dark"), "It bends."),),
    data={"sizes": [1, 8]},
    rows=({"size": 1, "rate": 123.456}, {"size": 8, "note": "the, knee"}),
    environment={"Machine": "a loom"},
    at="2026-11-26 08:00:00 UTC",
)


def test_a_page_has_all_that_was_found_and_needs_nothing_else(tmp_path: Path) -> None:
    page = reporting_report.save_report(REPORT, tmp_path).read_text()
    for text in (
        "Eight connections are enough", "At 8 it did 900", "POOL_SIZE=8", "poolproof lab size --users 64", "It bends.",
        "a loom", "One run.", "&#34;sizes&#34;", "size,rate,note",
    ):  # fmt: skip
        assert text in page
    assert "<script" not in page
    assert re.findall(r'(?:src|srcset|href)="(?!data:)', page) == []


def test_what_is_put_into_a_page_is_escaped() -> None:
    page = reporting_report.as_html(replace(REPORT, verdict="<script>alert(1)</script>", settings="</pre><script>"))
    assert "<script" not in page
    assert "Which size? &lt;b&gt;Eight&lt;/b&gt;" in page


def test_a_page_of_a_run_that_was_stopped_says_so() -> None:
    assert "Stopped early" in reporting_report.as_html(replace(REPORT, is_complete=False))
    assert "Stopped early" not in reporting_report.as_html(REPORT)


def test_a_report_can_be_read_again(tmp_path: Path) -> None:
    page = reporting_report.save_report(REPORT, tmp_path)
    assert reporting_report.load_report(tmp_path, page.stem) == REPORT
    assert reporting_report.load_report(tmp_path, str(page)) == REPORT


def test_reports_are_listed_newest_first_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    for name in ("20260101T000000Z-size", "20260301T000000Z-size"):
        stored = json.dumps(reporting_report.as_json(replace(REPORT, title=name)))
        (tmp_path / f"{name}.json").write_text(stored)
    (tmp_path / "20260401T000000Z-size.json").write_text("{")
    (tmp_path / "other.json").write_text('{"kind": "size"}')
    listed = reporting_report.list_reports(tmp_path)
    assert [report.name for report in listed] == ["20260301T000000Z-size", "20260101T000000Z-size"]
    assert (listed[0].kind, listed[0].verdict) == ("size", REPORT.verdict)


def test_two_reports_of_one_second_are_both_kept(tmp_path: Path) -> None:
    assert len({reporting_report.save_report(REPORT, tmp_path) for _ in range(3)}) == 3
    assert len(reporting_report.list_reports(tmp_path)) == 3


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchReportError, match="no report missing"):
        reporting_report.load_report(tmp_path, "missing")


def test_the_table_for_a_spreadsheet_has_a_column_for_every_name() -> None:
    assert reporting_report.as_csv(REPORT.rows) == 'size,rate,note\n1,123.456,\n8,,"the, knee"\n'
    assert reporting_report.as_csv(()) == ""


def test_json_for_people_has_no_drawings() -> None:
    assert "svg" not in json.dumps(reporting_report.as_json(REPORT, figures=False))
    assert reporting_report.as_json(REPORT)["figures"][0]["svg_light"] == SVG


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("a", "a"), (12345, "12,345"), (123.456, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"),
     (0.0, "0")],
)  # fmt: skip
def test_numbers_have_the_digits_that_mean_something(value: reporting_report.Cell, text: str) -> None:
    assert format_value(value) == text
