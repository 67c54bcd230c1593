from __future__ import annotations

import pytest

from webapp.quizzes.documents import Question
from webapp.results.marks import AnswerMark, mark


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0b101, AnswerMark.RIGHT),
        (0b001, AnswerMark.PARTLY),
        (0b111, AnswerMark.PARTLY),
        (0b010, AnswerMark.WRONG),
        (None, AnswerMark.MISSING),
    ],
)
def test_an_answer_is_right_partly_right_wrong_or_missing(bits: int | None, expected: AnswerMark) -> None:
    question = Question(5, "multiple", "Which?", ("a", "b", "c"), (0, 2), "", None, None, None, None)
    assert mark(question, bits) is expected
