"""The studio's page that says what a change of many items would do, and does it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.bank import bulk_changes
from webapp.bank.bulk_changes import BulkAction, BulkChange, Selection
from webapp.bank.items import Filters
from webapp.errors import DomainError, InvalidInputError
from webapp.web import long_work
from webapp.web.validators import is_id

blueprint = Blueprint("bulk_pages", __name__, url_prefix="/studio/items")

FILTER_NAMES = ("search", "category", "difficulty", "tag")
MAX_IDS = 200
"""Of a page of items; more are selected by the filters."""


@blueprint.post("/bulk")
@require_page(Permission.EDIT_BANK)
@long_work.takes_long()
def change_many() -> str | Response:
    """Say how many items a change would change; once that is confirmed, change them and say how many were."""
    try:
        change = bulk_changes.validate(_read_change())
        if request.form.get("confirmed"):
            changed = bulk_changes.run(get_pooling().background, change)
            flash(_report(change.action, changed), "success")
            return _to_list()
        with read() as connection:
            affected = bulk_changes.count_affected(connection, change)
            selected = bulk_changes.count_selected(connection, change)
    except DomainError as error:
        if error.status >= 500:  # noqa: PLR2004 - an error of the server
            raise
        flash(error.detail, "error")
        return _to_list()
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    return render_template(
        "studio/bulk.html", change=change, affected=affected, unchanged=selected - affected, fields=fields
    )


def _read_change() -> BulkChange:
    form = request.form
    try:
        action = BulkAction(form.get("action", ""))
    except ValueError as error:
        raise InvalidInputError(gettext("Say what to do with the items.")) from error
    ids = tuple(int(item_id) for item_id in form.getlist("item")[:MAX_IDS] if is_id(item_id))
    is_all = form.get("scope") == "all"
    if not ids and not is_all:
        raise InvalidInputError(gettext("Tick the items first."))
    value = form.get("new_category" if action is BulkAction.SET_CATEGORY else "new_tag", "")
    filters = {name: form.get(name) or None for name in FILTER_NAMES}
    found = Filters(filters["category"], filters["difficulty"], None, filters["search"], filters["tag"])
    return BulkChange(action, Selection((), found) if is_all else Selection(ids), value)


def _report(action: BulkAction, changed: int) -> str:
    if action is BulkAction.DELETE_UNUSED:
        return str(ngettext("%(num)s item deleted.", "%(num)s items deleted.", changed))
    return str(ngettext("%(num)s item changed.", "%(num)s items changed.", changed))


def _to_list() -> Response:
    filters: dict[str, Any] = {name: request.form.get(name) or None for name in FILTER_NAMES}
    return redirect(url_for("bank_pages.found", **filters))
