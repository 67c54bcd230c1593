"""REST: the items of the bank, and files of them, for authors."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request, url_for

from webapp.accounts.guard import api_for, asking_user
from webapp.accounts.roles import Permission
from webapp.bank import carrying, exports, items, register, undoing, versions
from webapp.bank.drafts import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.bank.register import About, Import
from webapp.bank.schemas import (
    ExportArguments,
    ImportArguments,
    ImportLines,
    ImportListArguments,
    ImportOut,
    ItemArguments,
    ItemIn,
    ItemOut,
    ItemPage,
    Versions,
)
from webapp.pooling.extension import pooling_of_this_app, read, transact
from webapp.web import conditional, cursors, uploads
from webapp.web.idempotency import make_once
from webapp.web.openapi import ETAG, ID, IDEMPOTENCY_KEY, IF_MATCH, LINK, LOCATION, api_blueprint, problems

blueprint = api_blueprint("items", __name__, "/items", "The question bank.")
imports = api_blueprint("imports", __name__, "/imports", "Files that were imported; each can be undone.")

TEXTS: dict[str, Any] = {media: {} for media in ("text/plain", *exports.MEDIA.values())}
A_FILE = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


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
@blueprint.doc(operationId="createItem", parameters=[IDEMPOTENCY_KEY])
@problems(blueprint, 400, 401, 403, 409, 413, 415, 422)
def create_item(given: dict[str, Any]) -> tuple[Item, dict[str, str]]:
    """Add an item. The same one again is a conflict that names the first."""
    draft = _draft(given)
    item = make_once(asking_user().id, lambda connection: items.create(connection, draft), items.find)
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


@blueprint.route(f"/<{ID}:item_id>/versions", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.response(200, Versions)
@blueprint.doc(operationId="listItemVersions")
@problems(blueprint, 401, 403, 404)
def list_versions(item_id: int) -> dict[str, Any]:
    """List what an item was before it was changed."""
    with read() as connection:
        items.find(connection, item_id)
        return {"versions": versions.of(connection, item_id)}


@blueprint.route("/import", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@uploads.takes_a_file
@blueprint.arguments(ImportArguments, location="query")
@blueprint.response(201, ImportOut, headers=LOCATION)
@blueprint.alt_response(200, schema=ImportOut, description="What an import would do (dry_run)")
@blueprint.doc(operationId="importItems", requestBody=A_FILE)
@problems(blueprint, 400, 401, 403, 413, 422)
def import_items(asked: dict[str, Any]) -> tuple[Import, int, dict[str, str]]:
    """Import a file, which is the body, as one unit. Nothing is stored before it has come whole.

    What the bank has already is left out, so a repeated import adds nothing. A file that was
    looked at with dry_run is kept for a day and can be imported by its number.
    """
    work = pooling_of_this_app().background
    about = About(asking_user().name, asked["name"], asked["format"], asked.get("category"))
    deed = carrying.check if asked["dry_run"] else carrying.carry_out
    found = carrying.take(work, about, request.stream, current_app.config[uploads.LARGEST], deed)
    return found, 200 if asked["dry_run"] else 201, {"Location": url_for("imports.read_import", import_id=found.id)}


@blueprint.route("/export", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@blueprint.arguments(ExportArguments, location="query")
@blueprint.doc(operationId="exportItems", responses={200: {"description": "The file", "content": TEXTS}})
@problems(blueprint, 401, 403, 422)
def export_items(asked: dict[str, Any]) -> Response:
    """Send the bank, or a category of it, as a file; items that the format cannot hold are left out."""
    name, media = exports.file_of(asked["format"])
    text = exports.download(pooling_of_this_app().background, asked["format"], asked.get("category"))
    disposition = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(text, mimetype=media, headers=disposition)


@imports.route("", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@imports.arguments(ImportListArguments, location="query")
@imports.response(200, ImportLines, headers=LINK)
@imports.doc(operationId="listImports")
@problems(imports, 401, 403, 422)
def list_imports(asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List imports, the latest first."""
    with read() as connection:
        found = register.latest(connection, cursors.decode(asked.get("cursor")), asked["limit"])
    page = cursors.Page(found.rows, found.next_after)
    return {"imports": page.rows, "next": page.cursor}, cursors.link_to_next(page)


@imports.route(f"/<{ID}:import_id>", methods=["GET"])
@api_for(Permission.EDIT_BANK)
@imports.response(200, ImportOut)
@imports.doc(operationId="readImport")
@problems(imports, 401, 403, 404)
def read_import(import_id: int) -> Import:
    """Read what an import has done, or would do."""
    with read() as connection:
        return register.find(connection, import_id)


@imports.route(f"/<{ID}:import_id>/import", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@imports.response(200, ImportOut)
@imports.doc(operationId="carryOutImport")
@problems(imports, 401, 403, 404, 409, 422)
def carry_out_import(import_id: int) -> Import:
    """Import a file that was looked at with dry_run."""
    return carrying.carry_out(pooling_of_this_app().background, import_id)


@imports.route(f"/<{ID}:import_id>/undo", methods=["POST"])
@api_for(Permission.EDIT_BANK)
@imports.response(200, ImportOut)
@imports.doc(operationId="undoImport")
@problems(imports, 401, 403, 404, 409)
def undo_import(import_id: int) -> Import:
    """Undo an import: what it added goes, what it changed is again what it was. To be repeated as often as one likes.

    Items that somebody has changed since, or that a quiz is built from, stay.
    """
    with carrying.alone():
        return undoing.undo(pooling_of_this_app().background, import_id)


def _draft(given: dict[str, Any]) -> ItemDraft:
    return ItemDraft(**given | {"choices": tuple(given["choices"]), "right": tuple(given["right"])})
