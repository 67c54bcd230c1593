"""How an answer is marked: right, partly right, wrong, or missing. Pure functions."""

from __future__ import annotations

from enum import StrEnum

from webapp.attempts.scoring import is_right, right_bits
from webapp.quizzes.documents import Question


class AnswerMark(StrEnum):
    """How a question was answered in an attempt."""

    RIGHT = "right"
    PARTLY = "partly"
    """Some of the right choices, or all of them and wrong ones, too; it has no points."""
    WRONG = "wrong"
    MISSING = "missing"


def mark(question: Question, bits: int | None) -> AnswerMark:
    """Return how an answer is marked; None is no answer."""
    if bits is None:
        return AnswerMark.MISSING
    if is_right(question, bits):
        return AnswerMark.RIGHT
    return AnswerMark.PARTLY if bits & right_bits(question) else AnswerMark.WRONG
