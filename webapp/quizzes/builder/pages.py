"""The quiz builder of the studio: the order of a draft's rows, its sections, and copies of quizzes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.errors import DomainError, NotFoundError
from webapp.quizzes import drafts
from webapp.quizzes.builder.forms import change_rows
from webapp.quizzes.drafts import MAX_TITLE_LENGTH, Draft
from webapp.web.languages import translate
from webapp.web.rest.openapi import ID
from webapp.web.validators import is_id

blueprint = Blueprint("builder_pages", __name__, url_prefix="/studio/quizzes")

FILTER_NAMES = ("search", "category", "difficulty", "tag")


@blueprint.post(f"/<{ID}:quiz_id>/items")
@require_page(Permission.EDIT_QUIZZES)
def change_items(quiz_id: int) -> Response | tuple[dict[str, Any], int]:
    """Add the ticked items, or order, move, rename or remove rows. A script gets the new version instead of a page."""
    version = request.form.get("version", "")
    is_script = request.accept_mimetypes.best == "application/json"

    def change(connection: Connection) -> Draft:
        values = change_rows(drafts.find(connection, quiz_id), request.form)
        return drafts.change(connection, quiz_id, values, int(version) if is_id(version) else 0)

    try:
        draft = run_in_transaction(change)
    except NotFoundError:
        raise
    except DomainError as error:
        if is_script:
            return {"detail": translate(error.detail)}, error.status
        flash(translate(error.detail), "error")
    else:
        if is_script:
            return {"version": draft.version}, 200
    filters: dict[str, Any] = {name: request.form.get(f"keep_{name}") for name in FILTER_NAMES}
    return redirect(url_for("studio.quiz", quiz_id=quiz_id, **filters))


@blueprint.post(f"/<{ID}:quiz_id>/duplicate")
@require_page(Permission.EDIT_QUIZZES)
def duplicate(quiz_id: int) -> Response:
    """Begin a draft that is like another quiz, and go to it."""

    def copy(connection: Connection) -> Draft:
        title = gettext("Copy of %(title)s", title=drafts.find(connection, quiz_id).title)
        return drafts.duplicate(connection, quiz_id, title[:MAX_TITLE_LENGTH])

    draft = run_in_transaction(copy)
    flash(gettext("This is the copy. Nobody sees it before you publish it."), "success")
    return redirect(url_for("studio.quiz", quiz_id=draft.id))
