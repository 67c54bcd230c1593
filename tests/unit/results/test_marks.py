from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from webapp.attempts.player_rows import PlayerRow
from webapp.quizzes.documents import Pool, Question, QuizDocument
from webapp.results.marks import AnswerMark, mark, marks_of


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


def test_only_those_questions_are_marked_that_were_drawn_for_the_player() -> None:
    questions = tuple(
        Question(item, "single", "Which?", ("a", "b"), (0,), "", None, None, None, None) for item in range(1, 11)
    )
    document = QuizDocument("", "", questions, (Pool(0, 3, tuple(range(1, 11))),))
    row = PlayerRow(UUID(int=7), UUID(int=8), "Ada", datetime.now(UTC), None, None, None)
    drawn = [question.item_id for question in document.questions_for(7)]
    assert (list(marks_of(document, row)), len(drawn)) == (drawn, 3)
