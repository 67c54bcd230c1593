from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from webapp.attempts.question_order import questions_of
from webapp.quizzes.documents import Pool, Question, QuizDocument
from webapp.quizzes.rules import QuizRules

RULES = QuizRules("Title", datetime(2031, 5, 1, tzinfo=UTC), None, None)


def question(item: int, points: int = 1) -> Question:
    return Question(item, "single", "Which?", ("a", "b"), (0,), "", None, None, None, None, points=points)


DOCUMENT = QuizDocument(
    "",
    "",
    tuple(question(item, 1 + item // 10) for item in (1, 2, *range(10, 20))),
    (Pool(1, 3, tuple(range(10, 20))),),
)


def items_of(seed: int, rules: QuizRules = RULES, document: QuizDocument = DOCUMENT) -> list[int]:
    return [each.item_id for each in questions_of(document, rules, seed)]


def test_each_player_gets_a_draw_of_their_own_and_the_same_one_every_time() -> None:
    assert len({tuple(items_of(seed)) for seed in range(50)}) > 40
    fresh = QuizDocument("", "", DOCUMENT.questions, DOCUMENT.pools)
    assert all(items_of(seed) == items_of(seed, document=fresh) for seed in range(50))


def test_a_draw_stands_where_the_author_has_put_it_and_every_item_of_its_pool_can_come() -> None:
    drawn = set()
    for seed in range(200):
        first, *middle, last = items_of(seed)
        assert (first, last, len(set(middle))) == (1, 2, 3)
        drawn.update(middle)
    assert drawn == set(range(10, 20))


def test_every_draw_gives_as_many_points_as_any_other() -> None:
    totals = {sum(each.points for each in DOCUMENT.questions_for(seed)) for seed in range(50)}
    assert totals == {DOCUMENT.max_score} == {2 + 3 * 2}
    assert DOCUMENT.question_count == 5


def test_the_questions_are_shuffled_for_each_player_where_the_quiz_says_so() -> None:
    shuffled = replace(RULES, shuffles_questions=True)
    plain = QuizDocument("", "", tuple(question(item) for item in range(8)))
    assert items_of(7, document=plain) == list(range(8))
    orders = {tuple(items_of(seed, shuffled, plain)) for seed in range(50)}
    assert len(orders) > 40
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(8))}
    assert items_of(7, shuffled, plain) == items_of(7, shuffled, plain)
