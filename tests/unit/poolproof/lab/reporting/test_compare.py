"""Two runs side by side: what both have is joined, what only one has is not lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from poolproof.lab.reporting import compare as reporting_compare
from poolproof.lab.reporting.compare import ReportPair, ratio
from poolproof.lab.reporting.report import Cell, Figure, Table
from tests.unit.poolproof.lab.reporting.test_report import REPORT, SVG

OTHER = replace(
    REPORT,
    verdict="Sixteen <are> enough.",
    tables=(
        Table("Sizes", ("size", "answers/s", "best (s)"), ((8, 1800.0, 1), (16, 5.0, 1))),
        Table("Others", ("x",), ()),
    ),
    figures=(REPORT.figures[0], Figure("Another", SVG, SVG)),
    environment={"Machine": "another loom"},
)
PAIR = ReportPair(REPORT, OTHER)


def test_tables_of_both_are_joined_by_their_first_column_with_the_ratio() -> None:
    (joined,) = reporting_compare.joined_tables(PAIR)
    assert joined.columns == ("size", "answers/s, left", "answers/s, right", "answers/s, right ÷ left")
    assert joined.rows == (("1", 123.456, None, None), ("8", 900.0, 1800.0, 2.0), ("16", None, 5.0, None))


def test_figures_are_beside_each_other_and_one_that_only_one_has_is_beside_nothing() -> None:
    assert reporting_compare.paired_figures(PAIR) == [(REPORT.figures[0], OTHER.figures[0]), (None, OTHER.figures[1])]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(2, 3, 1.5), (0, 3, None), (None, 3, None), (2, None, None), ("a", 3, None), (2, 0, 0)],
)
def test_a_ratio_is_only_where_it_means_something(left: Cell, right: Cell, expected: float | None) -> None:
    assert ratio(left, right) == expected


def test_runs_on_two_machines_are_said_to_be() -> None:
    assert reporting_compare.environment_table(PAIR).note == "They differ in: Machine."
    assert "in the same environment" in reporting_compare.environment_table(ReportPair(REPORT, REPORT)).note


def test_the_page_has_both_verdicts_and_needs_nothing_else(tmp_path: Path) -> None:
    page = reporting_compare.save_comparison(PAIR, tmp_path).read_text()
    assert REPORT.verdict in page
    assert "Sixteen &lt;are&gt; enough." in page
    assert "right ÷ left" in page
    assert "<script" not in page
