from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.db.page import encode_cursor
from webapp.errors import InvalidInputError
from webapp.web.rest.pagination import MAX_ID, decode_cursor


@given(st.integers(0, MAX_ID))
def test_a_cursor_leads_back_to_its_id(after: int) -> None:
    assert decode_cursor(encode_cursor(after)) == after


@pytest.mark.parametrize("cursor", ["", "!", "LTE", "MDE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "é"])
def test_what_we_did_not_make_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError):
        decode_cursor(cursor)


@given(st.text())
def test_nothing_else_than_a_refusal_comes_of_nonsense(cursor: str) -> None:
    with suppress(InvalidInputError):
        assert encode_cursor(decode_cursor(cursor) or 0)
