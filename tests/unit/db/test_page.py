from __future__ import annotations

import pytest

from webapp.db.page import Page, encode_cursor, page_of


@pytest.mark.parametrize(
    ("rows", "page"),
    [([], Page([], None)), ([1, 2], Page([1, 2], None)), ([1, 2, 3], Page([1, 2], 2)), ([9, 8, 7], Page([9, 8], 8))],
)
def test_the_row_too_many_says_that_there_are_more(rows: list[int], page: Page[int]) -> None:
    assert page_of(rows, 2, lambda row: row) == page
    assert page.cursor == (None if page.next_after is None else encode_cursor(page.next_after))
