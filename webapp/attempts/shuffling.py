"""The order in which an attempt shows the choices: different for each attempt, the same every time."""

from __future__ import annotations

from random import Random

from webapp.bank.choice_order import shuffle_unpinned
from webapp.bank.item_kinds import Kind
from webapp.quizzes.documents import Question


def order_of_choices(seed: int, question: Question) -> list[int]:
    """Return the positions of the question's choices in the order to show them.

    True and false stay in their usual order, since their position reveals nothing; and pinned choices in their places.
    """
    count = len(question.choices)
    if question.kind == Kind.TRUE_FALSE:
        return list(range(count))
    random = Random(f"{seed}:{question.item_id}")  # noqa: S311 - an order, no secret
    return shuffle_unpinned(count, question.pinned, random)
