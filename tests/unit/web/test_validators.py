from __future__ import annotations

import pytest

from webapp.web.validators import is_storable


@pytest.mark.parametrize("text", ["", "plain", "two\nlines\r\n", "tab\t", "日本 🐬 é", "soft\u00adhyphen"])
def test_what_people_write_is_storable(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\x00", "bell\x07", "half \ud800", "\x7f", "\x9b"])
def test_control_characters_and_half_characters_are_not(text: str) -> None:
    assert not is_storable(text)
