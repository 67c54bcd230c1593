"""REST: the items of the bank, and files of them, for authors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request, url_for

from poolproof.integrations.flask_ext import get_pooling, read, run_in_transaction
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts.auth import get_current_user, require_api
from webapp.accounts.roles import Permission
from webapp.bank import exports, import_jobs, import_service, import_undo, item_history, items
from webapp.bank.import_jobs import ImportJob, ImportSpec, ImportState
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Filters, Item
from webapp.bank.schemas import (
    ExportArguments,
    ImportArguments,
    ImportListArguments,
    ImportOut,
    ImportPage,
    ItemArguments,
    ItemIn,
    ItemOut,
    ItemPage,
    ItemVersionsOut,
)
from webapp.errors import ImportStateError
from webapp.web import long_work, uploads
from webapp.web.rest import conditional, pagination, repeating
from webapp.web.rest.idempotency import create_once, forget_key
from webapp.web.rest.openapi import (
    ETAG,
    ID,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    LINK,
    LOCATION,
    api_blueprint,
    problem_responses,
)

blueprint = api_blueprint("items", __name__, "/items", "The question bank.")
imports = api_blueprint("imports", __name__, "/imports", "Files that were imported; each can be undone.")

EXPORT_CONTENT: dict[str, Any] = {media_type: {} for media_type in ("text/plain", *exports.MEDIA_TYPES.values())}
FILE_BODY = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


@blueprint.route("", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.arguments(ItemArguments, location="query")
@blueprint.response(200, ItemPage, headers=LINK)
@blueprint.doc(operationId="listItems")
@problem_responses(blueprint, 401, 403, 422)
def list_items(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List items, filtered and searched, by id."""
    after = pagination.decode_cursor(query.get("cursor"))
    filters = Filters(
        query.get("category"), query.get("difficulty"), query.get("kind"), query.get("search"), query.get("tag")
    )
    with read() as connection:
        page = items.search(connection, filters, after, query["limit"])
    return {"items": page.rows, "next": page.cursor}, pagination.next_link_header(page)


@blueprint.route("", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@blueprint.arguments(ItemIn)
@blueprint.response(201, ItemOut, headers=LOCATION | ETAG)
@blueprint.doc(operationId="createItem", parameters=[IDEMPOTENCY_KEY])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 413, 415, 422)
def create_item(body: dict[str, Any]) -> tuple[Item, dict[str, str]]:
    """Add an item. An equal item in the bank is a conflict, whose response names it."""
    draft = _to_draft(body)
    item = create_once(get_current_user().id, lambda connection: items.create(connection, draft), items.find)
    location = {"Location": url_for("items.read_item", item_id=item.id)}
    return item, conditional.etag(item.version) | location


@blueprint.route(f"/<{ID}:item_id>", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, ItemOut, headers=ETAG)
@blueprint.doc(operationId="readItem")
@problem_responses(blueprint, 401, 403, 404)
def read_item(item_id: int) -> tuple[Item, dict[str, str]]:
    """Read an item."""
    with read() as connection:
        item = items.find(connection, item_id)
    return item, conditional.etag(item.version)


@blueprint.route(f"/<{ID}:item_id>", methods=["PUT"])
@require_api(Permission.EDIT_BANK)
@blueprint.arguments(ItemIn)
@blueprint.response(200, ItemOut, headers=ETAG)
@blueprint.doc(operationId="changeItem", parameters=[IF_MATCH])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 412, 413, 415, 422, 428)
def change_item(body: dict[str, Any], item_id: int) -> tuple[Item, dict[str, str]]:
    """Replace an item; If-Match names the version it was read at. Published quizzes do not change."""
    expected = conditional.expected_version()
    item = run_in_transaction(lambda connection: items.change(connection, item_id, _to_draft(body), expected))
    return item, conditional.etag(item.version)


@blueprint.route(f"/<{ID}:item_id>", methods=["DELETE"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(204)
@blueprint.doc(operationId="deleteItem")
@problem_responses(blueprint, 401, 403, 404, 409)
def delete_item(item_id: int) -> None:
    """Delete an item that no quiz is built from."""
    run_in_transaction(lambda connection: items.remove(connection, item_id))


@blueprint.route(f"/<{ID}:item_id>/versions", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@blueprint.response(200, ItemVersionsOut)
@blueprint.doc(operationId="listItemVersions")
@problem_responses(blueprint, 401, 403, 404)
def list_versions(item_id: int) -> dict[str, Any]:
    """List the past versions of an item."""
    with read() as connection:
        items.find(connection, item_id)
        return {"versions": item_history.list_versions(connection, item_id)}


@blueprint.route("/import", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@uploads.accepts_upload
@long_work.takes_long()
@repeating.safe_to_repeat
@blueprint.arguments(ImportArguments, location="query")
@blueprint.response(201, ImportOut, headers=LOCATION)
@blueprint.alt_response(200, schema=ImportOut, description="What an import would do (dry_run)")
@blueprint.doc(operationId="importItems", requestBody=FILE_BODY, parameters=[IDEMPOTENCY_KEY])
@problem_responses(blueprint, 400, 401, 403, 404, 409, 413, 415, 422)
def import_items(query: dict[str, Any]) -> tuple[ImportJob, int, dict[str, str]]:
    """Import a file, which is the body, as one unit. Nothing is imported before the whole file has arrived.

    Items that the bank already has are left out, so a repeated import adds nothing. A file that was
    uploaded with dry_run is kept for a day and can be imported by its number.
    """
    spec = ImportSpec(get_current_user().name, query["name"], query["format"], query.get("category"))
    job = _import_once(spec, import_service.dry_run if query["dry_run"] else import_service.run)
    return job, 200 if query["dry_run"] else 201, {"Location": url_for("imports.read_import", import_id=job.id)}


@dataclass(frozen=True)
class _BegunImport:
    """An import that this request has created, or that an earlier one with the same key has."""

    id: int
    earlier: ImportJob | None = None


def _import_once(spec: ImportSpec, operation: Callable[[UnitOfWork, int], ImportJob]) -> ImportJob:
    """Import the file that is the request's body; a repeat under the same key returns the import as it is now."""
    work = get_pooling().background
    begun = create_once(
        get_current_user().id,
        lambda connection: _BegunImport(import_service.create(connection, spec)),
        lambda connection, number: _BegunImport(number, import_jobs.find(connection, number)),
        work=work,
        is_upload=True,
    )
    if begun.earlier is not None:
        if begun.earlier.state is ImportState.RECEIVING:
            raise ImportStateError("The file that was sent with this key is being received, or was cut off.")
        return begun.earlier
    max_bytes = current_app.config[uploads.MAX_UPLOAD_CONFIG_KEY]
    try:
        return import_service.process_upload(work, spec, request.stream, max_bytes, operation, import_id=begun.id)
    except BaseException:
        # Nothing of it has stayed.
        forget_key()
        raise


@blueprint.route("/export", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@long_work.takes_long()
@blueprint.arguments(ExportArguments, location="query")
@blueprint.doc(operationId="exportItems", responses={200: {"description": "The file", "content": EXPORT_CONTENT}})
@problem_responses(blueprint, 401, 403, 422)
def export_items(query: dict[str, Any]) -> Response:
    """Send the bank, or a category of it, as a file; items that the format cannot hold are left out."""
    name, media_type = exports.file_name_and_type(query["format"])
    text = exports.stream_export(get_pooling().background, query["format"], query.get("category"))
    disposition = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(text, mimetype=media_type, headers=disposition)


@imports.route("", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@imports.arguments(ImportListArguments, location="query")
@imports.response(200, ImportPage, headers=LINK)
@imports.doc(operationId="listImports")
@problem_responses(imports, 401, 403, 422)
def list_imports(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List imports, the latest first."""
    with read() as connection:
        page = import_jobs.list_latest(connection, pagination.decode_cursor(query.get("cursor")), query["limit"])
    return {"imports": page.rows, "next": page.cursor}, pagination.next_link_header(page)


@imports.route(f"/<{ID}:import_id>", methods=["GET"])
@require_api(Permission.EDIT_BANK)
@imports.response(200, ImportOut)
@imports.doc(operationId="readImport")
@problem_responses(imports, 401, 403, 404)
def read_import(import_id: int) -> ImportJob:
    """Read the report of an import or of its dry run."""
    with read() as connection:
        return import_jobs.find(connection, import_id)


@imports.route(f"/<{ID}:import_id>/import", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@long_work.takes_long()
@repeating.safe_to_repeat
@imports.response(200, ImportOut)
@imports.doc(operationId="carryOutImport")
@problem_responses(imports, 401, 403, 404, 409, 422)
def run_import(import_id: int) -> ImportJob:
    """Import a file that was uploaded with dry_run."""
    return import_service.run(get_pooling().background, import_id)


@imports.route(f"/<{ID}:import_id>/undo", methods=["POST"])
@require_api(Permission.EDIT_BANK)
@long_work.takes_long()
@repeating.safe_to_repeat
@imports.response(200, ImportOut)
@imports.doc(operationId="undoImport")
@problem_responses(imports, 401, 403, 404, 409)
def undo_import(import_id: int) -> ImportJob:
    """Undo an import: items that it added are removed, items that it changed are restored. May be repeated.

    Items that were changed since, or that a quiz is built from, stay as they are.
    """
    with import_service.import_lock():
        return import_undo.undo(get_pooling().background, import_id)


def _to_draft(body: dict[str, Any]) -> ItemDraft:
    return ItemDraft(**body | {name: tuple(body[name]) for name in ("choices", "right", "pinned", "tags")})
