from __future__ import annotations

from webapp.attempts.attempt_stats import ChoiceCount
from webapp.quizzes.documents import Question, QuizDocument
from webapp.results.analysis import summarize_questions


def test_choices_are_counted_and_the_share_of_right_ones_told() -> None:
    question = Question(5, "multiple", "Which?", ("a", "b", "c"), (0, 2), "", None, None, None, None)
    (result,) = summarize_questions(
        QuizDocument("", "", (question,)), [ChoiceCount(5, 0b101, 3), ChoiceCount(5, 0b001, 1)]
    )
    assert [choice.count for choice in result.choices] == [4, 0, 3]
    assert (result.answered, result.right, result.share_right) == (4, 3, 0.75)


def test_a_question_nobody_answered_has_no_share() -> None:
    question = Question(5, "single", "Which?", ("a", "b"), (0,), "", None, None, None, None)
    (result,) = summarize_questions(QuizDocument("", "", (question,)), [])
    assert (result.answered, result.share_right) == (0, None)
