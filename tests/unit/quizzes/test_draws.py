from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.errors import InvalidInputError
from webapp.lab.factories import make_item
from webapp.quizzes import drafts, draws, publishing
from webapp.quizzes.drafts import DraftValues
from webapp.quizzes.draws import Draw
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def geography(work: UnitOfWork) -> dict[str, list[int]]:
    """Items of the bank by difficulty, and one of another category."""

    def add(**values: Any) -> int:
        return work.run_in_transaction(lambda connection: make_item(connection, **values).id)

    levels = {"easy": 6, "hard": 4}
    items = {
        level: [add(category="Geography", difficulty=level) for _ in range(count)] for level, count in levels.items()
    }
    return items | {"other": [add(category="History", difficulty="easy")]}


def publish(work: UnitOfWork, values: DraftValues) -> PublishedVersion:
    draft = work.run_in_transaction(lambda connection: drafts.create(connection, values))
    return work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))


def test_five_of_geography_easy_are_drawn_for_each_player_from_what_matched_at_the_publication(
    work: UnitOfWork, geography: dict[str, list[int]]
) -> None:
    other = geography["other"][0]
    draw = Draw(1, 5, category="Geography", difficulty="easy", points=3)
    quiz = publish(work, DraftValues("Draw", item_ids=(other,), points={other: 2}, draws=(draw,)))
    work.run_in_transaction(lambda connection: make_item(connection, category="Geography", difficulty="easy"))
    (pool,) = quiz.document.pools
    assert sorted(pool.item_ids) == geography["easy"]
    assert (quiz.question_count, quiz.document.max_score) == (6, 2 + 5 * 3)
    seen = {question.item_id for seed in range(50) for question in quiz.document.questions_for(seed)}
    assert seen == {other, *geography["easy"]}


def test_a_draw_for_all_is_made_once_and_nobody_gets_an_item_twice(
    work: UnitOfWork, geography: dict[str, list[int]]
) -> None:
    chosen = geography["hard"][0]
    same, own = Draw(1, 3, category="Geography", for_each_player=False), Draw(1, 6, category="Geography")
    quiz = publish(work, DraftValues("Draw", item_ids=(chosen,), draws=(same, own)))
    first, *rest = (question.item_id for question in quiz.document.questions_for(1))
    assert first == chosen
    for seed in range(30):
        items = [question.item_id for question in quiz.document.questions_for(seed)]
        assert items[:4] == [first, *rest[:3]]
        assert len(set(items)) == len(items) == 10


def test_a_draft_keeps_its_draws_between_its_items_and_their_points(
    work: UnitOfWork, geography: dict[str, list[int]]
) -> None:
    first, second = geography["hard"][:2]
    parts = (Draw(0, 1, difficulty="easy"), Draw(1, 2, category="Geography", points=5, for_each_player=False))
    values = DraftValues("Draw", item_ids=(first, second), points={second: 4}, draws=(*parts, Draw(2, 1)))
    draft = work.run_in_transaction(lambda connection: drafts.create(connection, values))
    assert (draft.item_ids, draft.points, draft.draws) == (values.item_ids, values.points, values.draws)
    assert (draft.question_count, draft.max_score) == (6, 1 + 4 + 1 + 2 * 5 + 1)
    fewer = replace(values, item_ids=(second,), draws=(Draw(1, 1),))
    changed = work.run_in_transaction(lambda connection: drafts.change(connection, draft.id, fewer, draft.version))
    assert (changed.item_ids, changed.points, changed.draws) == ((second,), {second: 4}, fewer.draws)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ((Draw(0, 7, "Geography", "easy"),), "7 of Geography, easy” the bank has 6 items"),
        # At worst the first draw takes all that the second one needs.
        ((Draw(0, 5, "Geography"), Draw(0, 4, "Geography", "easy")), "4 of Geography, easy” the bank has 1 item"),
        ((Draw(0, 1, "Geography"), Draw(0, 1, "Geography", "easy", points=2)), "have an item in common"),
        ((Draw(0, 1, "Nowhere"),), "1 of Nowhere” the bank has 0"),
    ],
)
def test_a_draw_that_could_fail_for_a_player_is_refused_at_the_publication(
    work: UnitOfWork, geography: dict[str, list[int]], wanted: tuple[Draw, ...], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        publish(work, DraftValues("Draw", draws=wanted))


@pytest.mark.parametrize(
    "draw", [Draw(0, 0), Draw(0, 201), Draw(-1, 1), Draw(0, 1, points=0), Draw(0, 1, points=101), Draw(0, 1, "x" * 101),
             Draw(0, 1, None, "impossible")]
)  # fmt: skip
def test_a_draw_without_sense_is_refused_in_a_draft(draw: Draw) -> None:
    assert list(draws.find_errors([draw], 0, 200))


def test_a_quiz_has_at_most_two_hundred_questions_with_those_that_are_drawn() -> None:
    assert list(draws.find_errors([Draw(0, 150)], 50, 200)) == []
    assert list(draws.find_errors([Draw(0, 150)], 51, 200)) != []
