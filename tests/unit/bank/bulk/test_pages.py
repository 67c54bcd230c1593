"""Changes of many items in the studio: what they would do is said first, what they did afterwards."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import bulk_changes, item_history, items
from webapp.bank.items import Filters, Item
from webapp.lab.factories import make_draft, make_item

BULK = "/studio/items/bulk"


def change(studio: FlaskClient, **form: Any) -> tuple[str, str]:
    """Send a change, first without and then with the confirmation; return both pages."""
    before = studio.post(BULK, data=form, follow_redirects=True).text
    return before, studio.post(BULK, data={**form, "confirmed": "1"}, follow_redirects=True).text


def all_items(work: UnitOfWork, filters: Filters | None = None) -> list[Item]:
    with work.read() as connection:
        return list(items.search(connection, filters or Filters(), None, 100).rows)


def test_all_that_were_found_get_a_tag_in_batches_and_lose_it_again(
    studio: FlaskClient, work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_changes, "BATCH_SIZE", 2)
    for number in range(5):
        work.run_in_transaction(partial(make_item, stem=f"Gadfly {number}?", tags=("water",) if number == 0 else ()))
    work.run_in_transaction(make_item)
    found = {"scope": "all", "search": "gadfly", "new_tag": "water"}
    before, after = change(studio, action="tag", **found)
    assert "4 items will get the tag “water”." in before
    assert "1 stays as it is." in before
    assert "4 items changed." in after
    assert len(all_items(work, Filters(tag="water"))) == 5
    assert "5 items changed." in change(studio, action="untag", **found)[1]
    assert all_items(work, Filters(tag="water")) == []


def test_nothing_changes_before_it_is_confirmed(studio: FlaskClient, work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    page = studio.post(BULK, data={"action": "delete", "item": [item.id]}).text
    assert "1 item will be deleted." in page
    assert f'name="item" value="{item.id}"' in page
    assert len(all_items(work)) == 1


def test_the_ticked_ones_change_their_category_and_keep_the_former_one_as_a_version(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    one, two, other = (work.run_in_transaction(partial(make_item, category="Old")) for _ in range(3))
    ticked = {"item": [one.id, two.id], "new_category": "Rivers"}
    assert "2 items changed." in change(studio, action="category", **ticked)[1]
    assert [item.id for item in all_items(work, Filters(category="Rivers"))] == [one.id, two.id]
    assert [item.version for item in all_items(work)] == [2, 2, 1]
    assert all_items(work)[2].id == other.id
    with work.read() as connection:
        assert item_history.list_versions(connection, one.id)[0].category == "Old"


def test_what_a_quiz_uses_is_not_deleted(studio: FlaskClient, work: UnitOfWork) -> None:
    used = make_draft(work, questions=2)
    work.run_in_transaction(partial(make_item, tags=("water",)))
    before, after = change(studio, action="delete", scope="all")
    assert "1 item will be deleted." in before
    assert "2 stay, because quizzes are built from them." in before
    assert "1 item deleted." in after
    assert [item.id for item in all_items(work)] == list(used.item_ids)


def test_a_change_of_nothing_is_told(studio: FlaskClient, work: UnitOfWork) -> None:
    work.run_in_transaction(make_item)
    for form, text in (
        ({"action": "tag", "new_tag": "water"}, "Tick the items first."),
        ({"action": "tag", "new_tag": " ", "scope": "all"}, "Name a tag."),
        ({"action": "tag", "new_tag": "a, b", "scope": "all"}, "no comma"),
        ({"action": "paint", "scope": "all"}, "Say what to do with the items."),
    ):
        assert text in studio.post(BULK, data=form, follow_redirects=True).text
