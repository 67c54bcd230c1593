"""Which questions an attempt has, and in which order: different for each attempt where the quiz says so, and stable."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from webapp.quizzes.documents import Question, QuizDocument
from webapp.quizzes.rules import QuizRules


def questions_of(document: QuizDocument, rules: QuizRules, seed: int) -> Sequence[Question]:
    """Return the questions of an attempt with this seed, in the order to show them."""
    questions = document.questions_for(seed)
    if not rules.shuffles_questions:
        return questions
    order = list(questions)
    Random(f"{seed}:questions").shuffle(order)  # noqa: S311 - an order, no secret
    return order
