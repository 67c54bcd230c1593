"""The item editor of the studio, as a browser without JavaScript uses it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import match_in
from webapp.bank import item_history, items
from webapp.bank.items import Filters, Item
from webapp.lab.factories import make_item

WRITTEN: dict[str, Any] = {
    "kind": "single", "stem": "Which river is long?", "row": ["0", "1", "2", "3"], "choice-0": "Nile",
    "choice-1": "Rhine", "choice-2": "", "choice-3": "All of the above", "right": ["0"], "pinned": ["3"],
    "explanation": "It has 6,650 km.", "category": "Rivers", "difficulty": "easy", "tags": "water, long ",
    "version": "0",
}  # fmt: skip


def send(studio: FlaskClient, address: str = "/studio/items/new", **changes: Any) -> TestResponse:
    return studio.post(address, data={**WRITTEN, "action": "save", **changes})


def stored(work: UnitOfWork) -> Item:
    with work.read() as connection:
        (item,) = items.search(connection, Filters(), None, 9).rows
    return item


def test_an_item_is_written_with_a_pinned_choice_and_empty_rows_left_out(studio: FlaskClient, work: UnitOfWork) -> None:
    assert send(studio).status_code == 302
    item = stored(work)
    assert item.choices == ("Nile", "Rhine", "All of the above")
    assert (item.right, item.pinned, item.tags) == ((0,), (2,), ("long", "water"))
    assert (item.explanation, item.category, item.difficulty) == ("It has 6,650 km.", "Rivers", "easy")


def test_an_item_of_several_right_choices_and_one_of_true_or_false_are_written(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    send(studio, kind="multiple", right=["0", "1"])
    assert (stored(work).kind, stored(work).right) == ("multiple", (0, 1))
    with work.read() as connection:
        first = items.search(connection, Filters(), None, 1).rows[0].id
    work.run_in_transaction(lambda connection: items.remove(connection, first))
    send(studio, kind="true_false", truth="false")
    item = stored(work)
    assert (item.choices, item.right, item.pinned) == (("True", "False"), (1,), ())


def test_without_javascript_a_button_adds_moves_and_removes_a_choice(studio: FlaskClient, work: UnitOfWork) -> None:
    def choices(action: str) -> list[str]:
        page = send(studio, action=action).text
        form = page[: page.index("<template")]
        return re.findall(r'class="choice-text" name="choice-\d" value="([^"]*)"', form)

    assert choices("add") == ["Nile", "Rhine", "", "All of the above", ""]
    assert choices("up 1") == ["Rhine", "Nile", "", "All of the above"]
    assert choices("down 0") == ["Rhine", "Nile", "", "All of the above"]
    assert choices("remove 2") == ["Nile", "Rhine", "All of the above"]
    moved = send(studio, action="up 3").text
    # What was ticked goes along.
    assert '<input type="checkbox" name="pinned" value="2" checked>' in moved
    with work.read() as connection:
        assert items.has_no_items(connection)


def test_what_is_wrong_is_said_and_the_text_stays_in_the_form(studio: FlaskClient) -> None:
    response = send(studio, right=[], stem="  ")
    assert response.status_code == 422
    assert "Say which choice is right." in response.text
    assert "The stem has 1 to 4000 characters." in response.text
    assert 'value="All of the above"' in response.text


def test_an_item_that_the_bank_has_is_not_saved_twice_and_the_other_is_named(studio: FlaskClient) -> None:
    first = send(studio).headers["Location"]
    response = send(studio)
    assert response.status_code == 409
    assert match_in(r"/studio/items/\d+", first)[0] in response.text


def test_a_preview_is_made_of_the_players_template(studio: FlaskClient) -> None:
    page = studio.post("/studio/items/preview", data={**WRITTEN, "kind": "multiple"}).text
    assert '<fieldset class="panel question" data-item="0" data-kind="multiple">' in page
    assert "Choose all that are right." in page
    assert page.count('type="checkbox"') == 3


def test_a_conflict_shows_both_texts_and_saving_again_keeps_theirs_in_the_history(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    send(studio)
    item = stored(work)
    address = f"/studio/items/{item.id}/edit"
    assert 'value="All of the above"' in studio.get(address).text
    assert send(studio, address, version="1", stem="Theirs?").status_code == 302
    conflict = send(studio, address, version="1", stem="Mine?")
    assert conflict.status_code == 412
    assert "Mine?</textarea>" in conflict.text
    assert '<p class="stem prose">Theirs?</p>' in conflict.text
    assert 'name="version" value="2"' in conflict.text
    assert stored(work).stem == "Theirs?"
    send(studio, address, version="2", stem="Mine?")
    assert stored(work).stem == "Mine?"
    with work.read() as connection:
        former = [version.stem for version in item_history.list_versions(connection, item.id)]
    assert former == ["Theirs?", "Which river is long?"]


def test_a_former_version_is_brought_back_with_its_pins_and_the_tags_of_today(
    studio: FlaskClient, work: UnitOfWork
) -> None:
    send(studio)
    item = stored(work)
    saved = send(studio, f"/studio/items/{item.id}/edit", version="1", stem="Changed?", pinned=[], tags="new")
    page = studio.get(saved.headers["Location"]).text
    assert "Undo the last change" in page
    restored = studio.post(
        f"/studio/items/{item.id}/restore", data={"version": "2", "former": "1"}, follow_redirects=True
    )
    assert "Version 1 is back, as version 3." in restored.text
    item = stored(work)
    assert (item.stem, item.pinned, item.tags) == ("Which river is long?", (2,), ("new",))
    late = studio.post(f"/studio/items/{item.id}/restore", data={"version": "2", "former": "2"}, follow_redirects=True)
    assert "read it again" in late.text
    assert studio.post(f"/studio/items/{item.id}/restore", data={"version": "3", "former": "9"}).status_code == 404


def test_only_an_author_comes_in(client: FlaskClient, work: UnitOfWork) -> None:
    item = work.run_in_transaction(partial(make_item))
    for address in ("/studio/items/new", f"/studio/items/{item.id}/edit"):
        assert "/sign-in" in client.get(address).headers["Location"]
