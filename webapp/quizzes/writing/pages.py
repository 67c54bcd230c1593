"""The item editor within a quiz: what is saved is in the bank and in the draft, and the next item can be written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.bank import items, tags
from webapp.bank.editor.forms import ItemForm, read_form
from webapp.bank.editor.pages import render_editor
from webapp.bank.item_draft import MAX_CHOICES
from webapp.errors import DomainError, DuplicateItemError, InvalidInputError, NotFoundError
from webapp.quizzes import drafts
from webapp.web.form_retry import retryable_form
from webapp.web.languages import translate
from webapp.web.rest.openapi import ID
from webapp.web.validators import is_id

blueprint = Blueprint("writing", __name__, url_prefix=f"/studio/quizzes/<{ID}:quiz_id>/write")

SAVE_ACTIONS = {"save", "save-last"}


@blueprint.route("", methods=["GET", "POST"])
@require_page(Permission.EDIT_QUIZZES)
@retryable_form("Nothing is lost: your text is here; save it again in a moment.")
def write(quiz_id: int) -> tuple[str, int] | Response:
    """Write an item of a quiz, and the next one."""
    if request.method == "GET":
        return _render(quiz_id, ItemForm())
    form = read_form(request.form)
    action, _, number = request.form.get("action", "save").partition(" ")
    if action in SAVE_ACTIONS:
        return _save(quiz_id, form, is_last=action == "save-last")
    return _render(quiz_id, form.edit_rows(action, int(number) if is_id(number) else MAX_CHOICES))


def _save(quiz_id: int, form: ItemForm, *, is_last: bool) -> tuple[str, int] | Response:
    def add(connection: Connection) -> None:
        draft = drafts.find(connection, quiz_id)
        item = items.create(connection, form.to_draft())
        values = replace(draft.to_values(), item_ids=(*draft.item_ids, item.id))
        drafts.change(connection, quiz_id, values, draft.version)

    try:
        run_in_transaction(add)
    except NotFoundError:
        raise
    except InvalidInputError as error:
        return _render(quiz_id, form, error.status, errors=error.extra["errors"])
    except DuplicateItemError as error:
        return _render(quiz_id, form, error.status, duplicate=error)
    except DomainError as error:
        # Another author has changed the draft at the same moment.
        flash(translate(error.detail), "error")
        return _render(quiz_id, form, error.status)
    flash(gettext("Saved: it is in the quiz."), "success")
    endpoint = "studio.quiz" if is_last else "writing.write"
    return redirect(url_for(endpoint, quiz_id=quiz_id, saved=_draft_name(quiz_id)), 303)


def _render(quiz_id: int, form: ItemForm, status: int = 200, **conflict: Any) -> tuple[str, int]:
    with read() as connection:
        draft = drafts.find(connection, quiz_id)
        categories, known_tags = items.categories(connection), tags.list_tags(connection)
    page = render_editor(
        form,
        categories=categories,
        known_tags=known_tags,
        quiz=draft,
        item_id=None,
        draft_name=_draft_name(quiz_id),
        **conflict,
    )
    return page, status


def _draft_name(quiz_id: int) -> str:
    """Return the name under which a browser keeps what is being written."""
    return f"quiz-{quiz_id}"
