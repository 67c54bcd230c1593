from __future__ import annotations

import pytest

from webapp.quizzes.documents import Question
from webapp.results.marks import Mark, mark


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(0b101, Mark.RIGHT), (0b001, Mark.PARTLY), (0b111, Mark.PARTLY), (0b010, Mark.WRONG), (None, Mark.MISSING)],
)
def test_an_answer_is_right_partly_right_wrong_or_missing(bits: int | None, expected: Mark) -> None:
    question = Question(5, "multiple", "Which?", ("a", "b", "c"), (0, 2), "", None, None, None, None)
    assert mark(question, bits) is expected
