from __future__ import annotations

import pytest

from webapp.results.spreadsheet_cells import MAX_LENGTH, Cell, safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20SUM(A1)"])
def test_a_text_that_a_spreadsheet_would_evaluate_begins_with_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["Ada", "1 = 1", "", 7, -7, 1.5, None])
def test_all_else_stays_as_it_is(value: Cell) -> None:
    assert safe_cell(value) == value


def test_a_text_is_no_longer_than_a_cell() -> None:
    assert safe_cell("x" * 40_000) == "x" * MAX_LENGTH
