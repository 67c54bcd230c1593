from __future__ import annotations

import re

import pytest

from webapp.quizzes import join_codes
from webapp.quizzes.join_codes import DIGITS, LETTERS, fold, in_groups, new_code


def test_a_code_is_six_characters_without_vowels_look_alikes_or_three_letters_in_a_row() -> None:
    codes = {new_code() for _ in range(2000)}
    assert len(codes) > 1990
    for code in codes:
        assert re.fullmatch(f"[{LETTERS}{DIGITS}]{{6}}", code)
        assert not re.search(f"[{LETTERS}]{{3}}", code)
    assert not set(LETTERS + DIGITS) & set("AEIOU01348BGILOQSUZ")


@pytest.mark.parametrize(
    "typed",
    [
        "K7M2XF",
        "k7m 2xf",
        " K7M-2XF\n",
        "k7mzxf",
        "K 7 M 2 X F",
        "\uff2b\uff17\uff2d\uff12\uff38\uff26",
        "K7M\u20132XF",
    ],
)
def test_case_blanks_hyphens_width_and_look_alikes_make_no_difference(typed: str) -> None:
    assert fold(typed) == "K7M2XF"


def test_what_looks_like_one_character_of_the_alphabet_is_read_as_it() -> None:
    assert fold("0Oqsg2") == "DDD562"


@pytest.mark.parametrize(
    "typed", ["", "K7M2X", "K7M2XFF", "K7M2X1", "K7M2Xl", "K7M2XA", "K7M2X\u00e9", "<b>", "x" * 5000]
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert fold(typed) is None


def test_a_code_is_shown_in_two_groups() -> None:
    assert in_groups("K7M2XF") == "K7M 2XF"
    assert fold(in_groups("K7M2XF")) == "K7M2XF"
    assert join_codes.CODE_LENGTH == 6
