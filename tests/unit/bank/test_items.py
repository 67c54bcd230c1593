from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.bank.item_draft import ItemDraft, validate_draft
from webapp.bank.items import Item
from webapp.errors import (
    DuplicateItemError,
    InvalidInputError,
    ItemInUseError,
    NotFoundError,
    VersionMismatchError,
)
from webapp.lab.factories import item_draft, make_draft, make_item


def find(work: UnitOfWork, item_id: int) -> Item:
    with work.read() as connection:
        return items.find(connection, item_id)


def test_an_item_is_read_as_it_was_written(work: UnitOfWork) -> None:
    draft = item_draft(
        kind="multiple", right=(0, 2), difficulty="hard", source="A book", licence="CC0", stem="日本語 & <b>é</b> 🦀?"
    )
    item = work.run_in_transaction(lambda connection: items.create(connection, draft))
    assert find(work, item.id) == item
    assert {name: getattr(item, name) for name in vars(draft)} == vars(draft)
    assert item.version == 1


def test_blanks_around_texts_are_not_kept(work: UnitOfWork) -> None:
    item = work.run_in_transaction(
        lambda connection: make_item(connection, stem=" Why? ", choices=(" a", "b "), category=" ")
    )
    assert (item.stem, item.choices, item.category) == ("Why?", ("a", "b"), None)


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("stem", {"stem": " "}),
        ("stem", {"stem": "x" * 4001}),
        ("stem", {"stem": "null\0"}),
        ("choices", {"choices": ("one",)}),
        ("choices", {"choices": tuple(map(str, range(21)))}),
        ("choices", {"choices": ("one", "")}),
        ("choices", {"choices": ("one", "x" * 501)}),
        ("choices", {"choices": ("one", "one ")}),
        ("choices", {"choices": ("one", "\ud800")}),
        ("choices", {"kind": "true_false", "choices": ("Yes", "No")}),
        ("right", {"right": ()}),
        ("right", {"right": (0, 1)}),
        ("right", {"right": (3,)}),
        ("right", {"right": (-1,)}),
        ("right", {"kind": "multiple", "right": ()}),
        ("right", {"kind": "true_false", "choices": ("True", "False"), "right": (0, 1)}),
        ("kind", {"kind": "essay"}),
        ("difficulty", {"difficulty": "impossible"}),
        ("category", {"category": "x" * 101}),
    ],
)
def test_a_refusal_names_the_field(where: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        validate_draft(item_draft(**values))
    assert where in {error["where"] for error in refused.value.extra["errors"]}


@pytest.mark.parametrize(
    "draft",
    [
        ItemDraft("single", "x" * 4000, tuple(map(str, range(20))), (19,)),
        ItemDraft("multiple", "All?", ("a", "b"), (0, 1)),
        ItemDraft("true_false", "Is it?", ("True", "False"), (1,)),
        ItemDraft("single", "Which sign?", ("+", "-"), (0,)),
    ],
)
def test_the_limits_themselves_are_good(draft: ItemDraft) -> None:
    assert validate_draft(draft) == draft


def test_the_same_item_again_is_refused_with_the_first_ones_id(work: UnitOfWork) -> None:
    first = work.run_in_transaction(make_item)
    shouting = replace(_draft_of(first), stem=first.stem.upper(), choices=first.choices[::-1], right=(2,))
    with pytest.raises(DuplicateItemError) as refused:
        work.run_in_transaction(lambda connection: items.create(connection, shouting))
    assert refused.value.extra == {"item": first.id}


def test_the_same_stem_with_other_choices_is_another_item(work: UnitOfWork) -> None:
    first = work.run_in_transaction(make_item)
    other = replace(_draft_of(first), choices=("quite", "other"))
    assert work.run_in_transaction(lambda connection: items.create(connection, other)).id != first.id


def test_a_change_counts_the_version_up(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    changed = work.run_in_transaction(
        lambda connection: items.change(connection, item.id, item_draft(stem="Better?"), 1)
    )
    assert (changed.stem, changed.version) == ("Better?", 2)
    assert changed.changed_at >= item.changed_at


def test_of_two_changes_of_one_version_the_second_is_refused(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    work.run_in_transaction(lambda connection: items.change(connection, item.id, item_draft(stem="Mine?"), 1))
    with pytest.raises(VersionMismatchError):
        work.run_in_transaction(lambda connection: items.change(connection, item.id, item_draft(stem="Yours?"), 1))
    assert find(work, item.id).stem == "Mine?"


def test_an_item_cannot_become_another_one(work: UnitOfWork) -> None:
    first, second = work.run_in_transaction(make_item), work.run_in_transaction(make_item)
    with pytest.raises(DuplicateItemError) as refused:
        work.run_in_transaction(lambda connection: items.change(connection, second.id, _draft_of(first), 1))
    assert refused.value.extra == {"item": first.id}


def test_an_item_may_be_saved_without_a_change(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    assert (
        work.run_in_transaction(lambda connection: items.change(connection, item.id, _draft_of(item), 1)).version == 2
    )


def test_what_is_not_there_cannot_be_read_changed_or_removed(work: UnitOfWork) -> None:
    for operation in (
        lambda connection: items.find(connection, 404),
        lambda connection: items.change(connection, 404, item_draft(), 1),
        lambda connection: items.remove(connection, 404),
    ):
        with pytest.raises(NotFoundError):
            work.run_in_transaction(operation)


def test_a_removed_item_is_gone_and_may_come_again(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    work.run_in_transaction(lambda connection: items.remove(connection, item.id))
    assert work.run_in_transaction(lambda connection: items.create(connection, _draft_of(item))).version == 1


def test_an_item_that_a_quiz_uses_cannot_be_removed(work: UnitOfWork) -> None:
    quiz = make_draft(work)
    with pytest.raises(ItemInUseError):
        work.run_in_transaction(lambda connection: items.remove(connection, quiz.item_ids[0]))
    assert find(work, quiz.item_ids[0])


def test_many_are_found_at_once_and_missing_ones_left_out(work: UnitOfWork) -> None:
    first, second = work.run_in_transaction(make_item), work.run_in_transaction(make_item)
    with work.read() as connection:
        assert items.find_many(connection, [second.id, 404, first.id]) == {first.id: first, second.id: second}
        assert items.find_many(connection, []) == {}


def test_categories_are_listed_once_and_in_order(work: UnitOfWork) -> None:
    for category in ("Music", "Animals", None, "Music"):
        work.run_in_transaction(partial(make_item, category=category))
    with work.read() as connection:
        assert items.categories(connection) == ["Animals", "Music"]


def _draft_of(item: Item) -> ItemDraft:
    return ItemDraft(**{name: getattr(item, name) for name in ItemDraft.__dataclass_fields__})
