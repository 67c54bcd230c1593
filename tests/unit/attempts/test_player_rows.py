from __future__ import annotations

from uuid import UUID

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.attempts.results import store_results
from webapp.attempts import player_rows
from webapp.attempts.player_rows import BestFirst, parse_cursor
from webapp.errors import InvalidInputError
from webapp.lab.factories import make_quiz


@pytest.mark.parametrize("score", [None, 0, 7])
def test_a_cursor_is_read_as_it_was_made(score: int | None) -> None:
    place = BestFirst(score, 1500, UUID(int=5))
    assert parse_cursor(place.to_cursor()) == place
    assert parse_cursor(None) is None


@pytest.mark.parametrize("cursor", ["", "x", "é", "MS4y", BestFirst(2**63, 1, UUID(int=5)).to_cursor()])
def test_any_other_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_cursor(cursor)


def test_equal_results_are_neither_left_out_nor_listed_twice(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, *((f"player {number}", 1, 500) for number in range(7)), ("playing", None, None))
    names: list[str] = []
    after = None
    while True:
        with work.read() as connection:
            page = player_rows.list_best(connection, quiz.version_id, after, 2)
        names += [row.player_name for row in page.rows]
        if page.cursor is None:
            break
        after = parse_cursor(page.cursor)
    assert names == [*(f"player {number}" for number in range(7)), "playing"]
