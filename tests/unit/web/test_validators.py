from __future__ import annotations

import pytest

from webapp.web.validators import is_storable, is_visible


@pytest.mark.parametrize("text", ["", "plain", "two\nlines\r\n", "tab\t", "日本 🐬 é", "soft\u00adhyphen"])
def test_what_people_write_is_storable(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\x00", "bell\x07", "half \ud800", "\x7f", "\x9b"])
def test_control_characters_and_half_characters_are_not(text: str) -> None:
    assert not is_storable(text)


@pytest.mark.parametrize("text", ["Ada", "日本", "🐬", "e\u0301", "\u202ename", "…", "\u3164x", "👨\u200d👩"])
def test_a_name_of_which_something_shows_is_visible(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "\u200b", "\u3164", "\u2800", "\u00ad", "\ufeff", "\u0301", "\u2060 \u3000", "\u115f\u1160"],
)
def test_a_name_of_which_nothing_shows_is_not(text: str) -> None:
    assert not is_visible(text)
