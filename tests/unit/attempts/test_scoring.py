from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.attempts.scoring import as_bits, as_positions, is_right, score
from webapp.errors import InvalidInputError
from webapp.quizzes.documents import Question, QuizDocument


def question(kind: str = "single", right: tuple[int, ...] = (1,), item: int = 1) -> Question:
    return Question(item, kind, "Which?", ("a", "b", "c", "d"), right, "", None, None, None, None)


@given(st.sets(st.integers(0, 3), min_size=1))
def test_choices_survive_as_a_number(choices: set[int]) -> None:
    assert as_positions(as_bits(question("multiple"), choices)) == sorted(choices)


@pytest.mark.parametrize(
    ("kind", "choices"),
    [("single", []), ("single", [0, 1]), ("true_false", [0, 1]), ("multiple", []), ("single", [4]), ("multiple", [-1])],
)
def test_choices_that_do_not_fit_the_question_are_refused(kind: str, choices: list[int]) -> None:
    with pytest.raises(InvalidInputError):
        as_bits(question(kind), choices)


def test_all_right_choices_and_no_other_make_a_multiple_choice_right() -> None:
    multiple = question("multiple", right=(0, 2))
    assert is_right(multiple, 0b0101)
    assert not is_right(multiple, 0b0001)
    assert not is_right(multiple, 0b0111)
    assert not is_right(multiple, None)


def test_each_right_answer_is_a_point() -> None:
    document = QuizDocument("", "", (question(item=1), question(item=2), question(item=3)))
    assert score(document, {1: 0b10, 2: 0b01}) == 1
