"""REST: the items of the bank, for authors."""

from __future__ import annotations

from typing import Any

from flask import url_for

from webapp.accounts.guard import api_for
from webapp.accounts.roles import Permission
from webapp.bank import items
from webapp.bank.drafts import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.bank.schemas import ItemArguments, ItemIn, ItemOut, ItemPage
from webapp.pooling.extension import read, transact
from webapp.web import conditional, cursors
from webapp.web.openapi import ETAG, ID, IF_MATCH, LINK, LOCATION, api_blueprint, problems

blueprint = api_blueprint("items", __name__, "/items", "The question bank.")


@blueprint.route("", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(ItemArguments, location="query")
@blueprint.response(200, ItemPage, headers=LINK)
@blueprint.doc(operationId="listItems")
@problems(blueprint, 401, 403, 422)
def list_items(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List items, filtered and searched, by id."""
    after = cursors.decode(asked.get("cursor"))
    filters = Filters(asked.get("category"), asked.get("difficulty"), asked.get("kind"), asked.get("search"))
    with read() as connection:
        found = items.search(connection, filters, after, asked["limit"])
    page = cursors.Page(found.rows, found.next_after)
    return {"items": page.rows, "next": page.cursor}, cursors.link_to_next(page)


@blueprint.route("", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(ItemIn)
@blueprint.response(201, ItemOut, headers=LOCATION | ETAG)
@blueprint.doc(operationId="createItem")
@problems(blueprint, 400, 401, 403, 409, 413, 415, 422)
def create_item(given: dict[str, Any]) -> tuple[Item, dict[str, str]]:
    """Add an item. The same one again is a conflict that names the first."""
    item = transact(lambda connection: items.create(connection, _draft(given)))
    location = {"Location": url_for("items.read_item", item_id=item.id)}
    return item, conditional.etag(item.version) | location


@blueprint.route(f"/<{ID}:item_id>", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, ItemOut, headers=ETAG)
@blueprint.doc(operationId="readItem")
@problems(blueprint, 401, 403, 404)
def read_item(item_id: int) -> tuple[Item, dict[str, str]]:
    """Read an item."""
    with read() as connection:
        item = items.find(connection, item_id)
    return item, conditional.etag(item.version)


@blueprint.route(f"/<{ID}:item_id>", methods=["PUT"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(ItemIn)
@blueprint.response(200, ItemOut, headers=ETAG)
@blueprint.doc(operationId="changeItem", parameters=[IF_MATCH])
@problems(blueprint, 400, 401, 403, 404, 409, 412, 413, 415, 422, 428)
def change_item(given: dict[str, Any], item_id: int) -> tuple[Item, dict[str, str]]:
    """Replace an item; If-Match names the version it was read at. Published quizzes do not change."""
    expected = conditional.expected_version()
    item = transact(lambda connection: items.change(connection, item_id, _draft(given), expected))
    return item, conditional.etag(item.version)


@blueprint.route(f"/<{ID}:item_id>", methods=["DELETE"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(204)
@blueprint.doc(operationId="deleteItem")
@problems(blueprint, 401, 403, 404, 409)
def delete_item(item_id: int) -> None:
    """Delete an item that no quiz is built from."""
    transact(lambda connection: items.remove(connection, item_id))


def _draft(given: dict[str, Any]) -> ItemDraft:
    return ItemDraft(**given | {"choices": tuple(given["choices"]), "right": tuple(given["right"])})
