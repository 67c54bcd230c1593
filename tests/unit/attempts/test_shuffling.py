from __future__ import annotations

from webapp.attempts.shuffling import order_of_choices
from webapp.quizzes.documents import Question


def question(kind: str = "single") -> Question:
    return Question(5, kind, "Which?", ("a", "b", "c", "d"), (0,), "", None, None, None, None)


def test_the_order_is_the_same_at_every_look() -> None:
    assert order_of_choices(42, question()) == order_of_choices(42, question())


def test_attempts_see_different_orders_and_every_choice() -> None:
    orders = {tuple(order_of_choices(seed, question())) for seed in range(200)}
    assert len(orders) == 24
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_true_and_false_stay_where_they_are() -> None:
    true_or_false = Question(5, "true_false", "So?", ("True", "False"), (0,), "", None, None, None, None)
    assert {tuple(order_of_choices(seed, true_or_false)) for seed in range(20)} == {(0, 1)}


def test_pinned_choices_keep_their_places_and_the_others_are_shuffled_around_them() -> None:
    pinned = Question(5, "single", "Which?", ("a", "b", "c", "All"), (0,), "", None, None, None, None, pinned=(1, 3))
    orders = {tuple(order_of_choices(seed, pinned)) for seed in range(50)}
    assert orders == {(0, 1, 2, 3), (2, 1, 0, 3)}
