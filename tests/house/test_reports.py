"""What README shows is what the kept reports say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import plot, push

HOUSE = Path(__file__).parents[2]
REPORTS = HOUSE / "docs/reports"
README = (HOUSE / "README.md").read_text()


def test_the_table_of_the_push_is_the_kept_one() -> None:
    of = push.kept((REPORTS / "push.json").read_text())
    rows = list(push.table(of, {one.name: one.title for one in push.CONTENDERS}))
    assert [row for row in rows if row not in README] == []


def test_the_kept_push_has_met_every_bound_and_lost_nothing() -> None:
    of = push.kept((REPORTS / "push.json").read_text())
    assert [bound.what for bound in push.bounds(of) if not bound.is_met] == []
    assert of["poolproof"].failed == of["poolproof"].unserved == of["poolproof"].lost == 0


def test_the_picture_of_the_push_is_drawn_from_the_kept_figures(tmp_path: Path) -> None:
    drawn = tmp_path / "push.svg"
    plot.draw(REPORTS / "push.json", drawn)
    assert drawn.read_text() == (HOUSE / "docs/push.svg").read_text()


@pytest.mark.parametrize("report", sorted(path.name for path in REPORTS.iterdir() if path.name != "README.md"))
def test_every_kept_report_is_listed_with_the_command_that_repeats_it(report: str) -> None:
    listed = (REPORTS / "README.md").read_text()
    row = next((line for line in listed.splitlines() if f"]({report})" in line), "")
    assert re.search(r"`(poolproof lab|python bench/|make bench)", row), f"{report} is not in the list of reports"
