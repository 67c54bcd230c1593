from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webapp.bank.deduplication import dedupe_key, folded, letters_and_digits, normalised


def test_case_punctuation_and_blanks_do_not_make_another_item() -> None:
    written_badly = dedupe_key("  what IS\tthe capital, of peru ", ["lima!", "QUITO"], [0])
    assert written_badly == dedupe_key("What is the capital of Peru?", ["Lima", "Quito"], [0])


@pytest.mark.parametrize("same", ["Straße", "STRASSE", "stra\u00adße", "\u200eStraße", "ﬆrasse"])
def test_forms_of_letters_and_invisible_characters_do_not_count(same: str) -> None:
    assert normalised(same) == "strasse"


def test_the_order_of_the_choices_does_not_count() -> None:
    assert dedupe_key("Which?", ["a", "b", "c"], [0, 2]) == dedupe_key("Which?", ["c", "b", "a"], [0, 2])


@pytest.mark.parametrize(
    ("stem", "choices", "right"),
    [
        ("Who?", ["a", "b"], [0]),
        ("Which?", ["a", "d"], [0]),
        ("Which?", ["a", "b"], [1]),
        ("Which?", ["a", "b"], [0, 1]),
    ],
)
def test_another_stem_choice_or_answer_makes_another_item(stem: str, choices: list[str], right: list[int]) -> None:
    assert dedupe_key(stem, choices, right) != dedupe_key("Which?", ["a", "b"], [0])


@pytest.mark.parametrize(
    "choices",
    [
        ["+", "-"],
        ["∞", "∅"],
        ["🦀", "🐍"],
        ["❤\ufe0f", "☀\ufe0f"],
        ["C", "C++", "C#"],
        ["-1", "1"],
        ["Polish", "polish"],
    ],
)
def test_choices_that_differ_only_in_what_is_dropped_stay_different(choices: list[str]) -> None:
    keys = {dedupe_key("Which one?", choices, [right]) for right in range(len(choices))}
    assert len(keys) == len(choices)


def test_vowel_signs_are_letters() -> None:
    assert normalised("कि") != normalised("का")


def test_texts_do_not_run_into_each_other() -> None:
    assert dedupe_key("a", ["b c", "d"], [0]) != dedupe_key("a b", ["c", "d"], [0])


@given(st.text())
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


ASCII = st.text(st.characters(max_codepoint=127))


@given(ASCII)
@example("".join(map(chr, range(128))))
def test_a_text_in_ascii_is_read_as_it_is_beside_a_letter_of_another_script(text: str) -> None:
    """ASCII takes a short way, which another letter bars."""
    assert folded(f"{text} ж") == f"{folded(text)} ж".strip()
    assert letters_and_digits(f"{text} ж") == f"{letters_and_digits(text)} ж".strip()
