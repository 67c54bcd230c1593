from __future__ import annotations

import io
from functools import partial

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import import_service, items, tags
from webapp.bank.exports import ExportFormat, dump, iter_items
from webapp.bank.import_jobs import ImportSpec
from webapp.bank.imports import Format
from webapp.bank.items import Filters
from webapp.lab.factories import make_item


def test_items_are_found_by_a_tag_and_tell_all_of_theirs(work: UnitOfWork) -> None:
    river = work.run_in_transaction(partial(make_item, tags=("water", " upper  course ")))
    work.run_in_transaction(partial(make_item, tags=("stone",)))
    with work.read() as connection:
        found = items.search(connection, Filters(tag="water"), None, 9).rows
        assert [(item.id, item.tags) for item in found] == [(river.id, ("upper course", "water"))]
        assert {"water", "upper course", "stone"} <= set(tags.list_tags(connection))


def test_a_change_replaces_the_tags(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    item = work.run_in_transaction(partial(make_item, tags=("old", "kept")))
    address = f"/api/v1/items/{item.id}"
    body = {"kind": "single", "stem": item.stem, "choices": list(item.choices), "right": [0], "tags": ["kept", "new"]}
    changed = client.put(address, json=body, headers={**author, "If-Match": '"1"'})
    assert changed.get_json()["tags"] == ["kept", "new"]
    refused = client.put(address, json=body | {"tags": ["a, b"]}, headers={**author, "If-Match": '"2"'})
    assert refused.status_code == 422
    assert "no comma" in refused.get_json()["detail"]
    listed = client.get("/api/v1/items?tag=new", headers=author).get_json()["items"]
    assert [each["id"] for each in listed] == [item.id]


def test_tags_and_pins_go_out_and_in_with_our_own_json(work: UnitOfWork) -> None:
    item = work.run_in_transaction(partial(make_item, tags=("water",), pinned=(1,)))
    text = "".join(dump(ExportFormat.JSON, iter(list(iter_items(work.read, None))), lambda *_: None))
    work.run_in_transaction(lambda connection: items.remove(connection, item.id))
    spec = ImportSpec(None, "items.json", Format.JSON, None)
    import_service.process_upload(work, spec, io.BytesIO(text.encode()), 10**6, import_service.run)
    with work.read() as connection:
        found = items.search(connection, Filters(tag="water"), None, 9).rows
    assert [(each.stem, each.pinned, each.tags) for each in found] == [(item.stem, (1,), ("water",))]
