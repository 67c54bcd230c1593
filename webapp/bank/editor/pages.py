"""The item editor of the studio: new items, changes of items, and former versions brought back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.bank import item_history, items, tags
from webapp.bank.editor.forms import ItemForm, form_of, read_form
from webapp.bank.editor.preview import preview_of
from webapp.bank.item_draft import MAX_CHOICES, ItemDraft
from webapp.bank.items import Item
from webapp.errors import DomainError, DuplicateItemError, InvalidInputError, NotFoundError, VersionMismatchError
from webapp.web.form_retry import retryable_form
from webapp.web.rest.openapi import ID
from webapp.web.validators import is_id

blueprint = Blueprint("editor_pages", __name__, url_prefix="/studio/items")

RETRY_MESSAGE = "Nothing is lost: your text is here; save it again in a moment."


@blueprint.route("/new", methods=["GET", "POST"])
@require_page(Permission.EDIT_BANK)
@retryable_form(RETRY_MESSAGE)
def new_item() -> tuple[str, int] | Response:
    """Write an item."""
    if request.method == "GET":
        return _render_editor(ItemForm(), None)
    return _edit(None)


@blueprint.route(f"/<{ID}:item_id>/edit", methods=["GET", "POST"])
@require_page(Permission.EDIT_BANK)
@retryable_form(RETRY_MESSAGE)
def edit_item(item_id: int) -> tuple[str, int] | Response:
    """Change an item."""
    if request.method == "POST":
        return _edit(item_id)
    with read() as connection:
        item = items.find(connection, item_id)
    return _render_editor(form_of(item, item.version), item_id)


@blueprint.post("/preview")
@require_page(Permission.EDIT_BANK)
def preview() -> str:
    """Show what is being written as a player will see it."""
    return render_template("studio/item_preview.html", question=preview_of(read_form(request.form).to_draft()))


@blueprint.post(f"/<{ID}:item_id>/restore")
@require_page(Permission.EDIT_BANK)
def restore(item_id: int) -> Response:
    """Give an item the content of a former version; the present one is kept as a version, so this can be undone."""
    former, present = (request.form.get(name, "") for name in ("former", "version"))

    def change(connection: Connection) -> Item:
        item = items.find(connection, item_id)
        version = item_history.find_version(connection, item_id, int(former) if is_id(former) else 0)
        names = ItemDraft.__dataclass_fields__.keys() & vars(version).keys()
        draft = ItemDraft(**{name: getattr(version, name) for name in names} | {"tags": item.tags})
        return items.change(connection, item_id, draft, int(present) if is_id(present) else 0)

    try:
        item = run_in_transaction(change)
    except NotFoundError:
        raise
    except DomainError as error:
        flash(error.detail, "error")
    else:
        text = gettext("Version %(number)s is back, as version %(new)s.", number=former, new=item.version)
        flash(text, "success")
    return redirect(url_for("bank_pages.item", item_id=item_id))


def _edit(item_id: int | None) -> tuple[str, int] | Response:
    """Change rows of the form, or save it, as the button says that sent it."""
    form = read_form(request.form)
    action, _, number = request.form.get("action", "save").partition(" ")
    if action == "save":
        return _save(form, item_id)
    return _render_editor(form.edit_rows(action, int(number) if is_id(number) else MAX_CHOICES), item_id)


def _save(form: ItemForm, item_id: int | None) -> tuple[str, int] | Response:
    draft = form.to_draft()
    try:
        if item_id is None:
            item = run_in_transaction(lambda connection: items.create(connection, draft))
        else:
            item = run_in_transaction(lambda connection: items.change(connection, item_id, draft, form.version))
    except InvalidInputError as error:
        return _render_editor(form, item_id, error.status, errors=error.extra["errors"])
    except DuplicateItemError as error:
        return _render_editor(form, item_id, error.status, duplicate=error)
    except VersionMismatchError as error:
        return _render_conflict(form, item_id or 0, error)
    flash(gettext("Saved."), "success")
    if request.form.get("then") == "another":
        return redirect(url_for("editor_pages.new_item", saved=_draft_name(item_id)))
    return redirect(url_for("bank_pages.item", item_id=item.id, saved=_draft_name(item_id)))


def _render_conflict(form: ItemForm, item_id: int, error: VersionMismatchError) -> tuple[str, int]:
    """Show the author's text and the one that another has saved; saving again puts the author's in its place."""
    with read() as connection:
        theirs = items.find(connection, item_id)
    return _render_editor(replace(form, version=theirs.version), item_id, error.status, theirs=theirs)


def _render_editor(form: ItemForm, item_id: int | None, status: int = 200, **conflict: Any) -> tuple[str, int]:
    with read() as connection:
        categories, known_tags = items.categories(connection), tags.list_tags(connection)
    page = render_editor(
        form, categories=categories, known_tags=known_tags, item_id=item_id, draft_name=_draft_name(item_id), **conflict
    )
    return page, status


def render_editor(form: ItemForm, **values: Any) -> str:
    """Render the editor with a form and what its item or quiz adds; everything that it shows has been read before."""
    return render_template(
        "studio/item_editor.html", form=form, question=preview_of(form.to_draft()), max_choices=MAX_CHOICES, **values
    )


def _draft_name(item_id: int | None) -> str:
    """Return the name under which a browser keeps what is being written."""
    return "new" if item_id is None else str(item_id)
