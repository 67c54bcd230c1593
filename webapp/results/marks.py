"""How an answer is marked: right, partly right, wrong, or missing. Pure functions."""

from __future__ import annotations

from enum import StrEnum

from webapp.attempts.player_rows import PlayerRow
from webapp.attempts.scoring import is_right, right_bits
from webapp.attempts.tokens import seed_of
from webapp.quizzes.documents import Question, QuizDocument


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


def marks_of(document: QuizDocument, row: PlayerRow) -> dict[int, AnswerMark]:
    """Return the marks of an attempt by item, of those questions only that its player had."""
    questions = document.questions_for(seed_of(row.attempt_id))
    return {question.item_id: mark(question, row.answers.get(question.item_id)) for question in questions}
