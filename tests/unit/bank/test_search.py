from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.bank.items import Filters
from webapp.bank.search import MAX_INDEX_LENGTH, indexed_words, split_words
from webapp.lab.factories import item_draft, make_item

STEMS = (
    "Who was the first to walk on the Moon?",
    "What is AC/DC's best known song?",
    "Complete: I dont wan_na be ________alone",
    "Motörhead, Łódź and Ångström: which is a band?",
    "Что такое мир?",
    "日本 の 首都 は?",
    "हिन्दी में कितने स्वर हैं?",
    "Is un- a prefix, or 42?",
)


@pytest.fixture
def search_numbers(work: UnitOfWork) -> Callable[[str], set[int]]:
    """Put the stems into the bank; return which of them a search finds."""

    def store(connection: Connection) -> dict[int, int]:
        return {make_item(connection, stem=stem).id: number for number, stem in enumerate(STEMS)}

    numbers = work.run_in_transaction(store)

    def search(words: str) -> set[int]:
        with work.read() as connection:
            return {numbers[row.id] for row in items.search(connection, Filters(words=words), None, 100).rows}

    return search


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("moon", {0}),
        ("MOON walk", {0}),
        ("moon song", set()),
        ("who was the", {0}),
        ("wal", {0}),
        ("alk", set()),
        ("ac/dc", {1}),
        ("AC", {1}),
        ("un", {7}),
        ("a", {1, 2, 3, 7}),
        ("4", {7}),
        ("alone", {2}),
        ("na", {2}),
        ("motorhead", {3}),
        ("MOTÖRHEAD", {3}),
        ("angstrom", {3}),
        ("łódź", {3}),
        ("мир", {4}),
        ("首都", {5}),
        ("कितने", {6}),
        ("dont", {2}),
        ("x" * 200, set()),
        ("", set()),
        ("?!", set()),
        ('"; DROP TABLE item; --', set()),
        ("+moon* -first ~walk (the) @distance < >", set()),
        ("+moon* -first", {0}),
        ("moon AND OR NOT NEAR", set()),
        ("%", set()),
    ],
)
def test_every_word_begins_a_word_of_the_stem(
    search_numbers: Callable[[str], set[int]], words: str, expected: set[int]
) -> None:
    assert search_numbers(words) == expected


def test_a_changed_stem_is_found_by_its_new_words_only(work: UnitOfWork) -> None:
    item = work.run_in_transaction(lambda connection: make_item(connection, stem="An old saying?"))
    work.run_in_transaction(lambda connection: items.change(connection, item.id, item_draft(stem="A new proverb?"), 1))
    with work.read() as connection:
        assert items.search(connection, Filters(words="saying"), None, 9).rows == []
        assert [row.id for row in items.search(connection, Filters(words="proverb"), None, 9).rows] == [item.id]


def test_a_removed_item_is_not_found(work: UnitOfWork) -> None:
    item = work.run_in_transaction(lambda connection: make_item(connection, stem="Soon gone?"))
    work.run_in_transaction(lambda connection: items.remove(connection, item.id))
    with work.read() as connection:
        assert items.search(connection, Filters(words="gone"), None, 9).rows == []


def test_filters_and_words_hold_together(work: UnitOfWork) -> None:
    for category, difficulty, kind in (("A", "easy", "single"), ("A", "hard", "single"), ("B", "easy", "multiple")):
        values: dict[str, Any] = {"category": category, "difficulty": difficulty, "kind": kind}
        work.run_in_transaction(partial(make_item, **values))
    with work.read() as connection:
        for count, filters in (
            (3, Filters()),
            (2, Filters(category="A")),
            (1, Filters(category="A", difficulty="hard")),
            (1, Filters(kind="multiple", words="name number")),
            (0, Filters(category="B", difficulty="hard")),
            (0, Filters(category="a")),
        ):
            assert len(items.search(connection, filters, None, 9).rows) == count


@pytest.mark.parametrize("filters", [Filters(), Filters(words="name"), Filters(category="Numbers", words="name")])
def test_pages_follow_each_other_without_gap_or_repetition(work: UnitOfWork, filters: Filters) -> None:
    made = work.run_in_transaction(lambda connection: [make_item(connection).id for _ in range(5)])
    listed, after = [], None
    with work.read() as connection:
        while True:
            page = items.search(connection, filters, after, 2)
            listed += [row.id for row in page.rows]
            after = page.next_after
            if after is None:
                break
    assert listed == made


def test_a_full_last_page_has_no_next(work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: [make_item(connection) for _ in range(2)])
    with work.read() as connection:
        assert items.search(connection, Filters(), None, 2).next_after is None


@given(st.text(st.characters(max_codepoint=127)))
def test_the_words_of_a_text_in_ascii_are_the_same_beside_a_word_of_another_script(text: str) -> None:
    assert split_words(f"{text} мир") == [*split_words(text), "мир"]


def test_a_stem_that_grows_when_it_is_normalised_still_fits(work: UnitOfWork) -> None:
    stem = " ".join(f"\ufdfa{number}" for number in range(600))
    assert len(indexed_words(stem)) <= MAX_INDEX_LENGTH
    assert work.run_in_transaction(lambda connection: make_item(connection, stem=stem)).stem == stem
