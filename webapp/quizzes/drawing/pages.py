"""The studio's form of points and draws of a draft."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.errors import DomainError, InvalidInputError, NotFoundError
from webapp.quizzes import drafts
from webapp.quizzes.drafts import Draft, DraftValues
from webapp.quizzes.draws import Draw
from webapp.web.languages import translate
from webapp.web.rest.openapi import ID
from webapp.web.validators import is_decimal, is_id

blueprint = Blueprint("draw_pages", __name__, url_prefix="/studio/quizzes")

MAX_DIGITS = 3


@blueprint.post(f"/<{ID}:quiz_id>/draws")
@require_page(Permission.EDIT_QUIZZES)
def change_draws(quiz_id: int) -> Response:
    """Save the points of the items, add a draw or remove one."""
    version = request.form.get("version", "")

    def change(connection: Connection) -> None:
        values = read_form(drafts.find(connection, quiz_id), request.form)
        drafts.change(connection, quiz_id, values, int(version) if is_id(version) else 0)

    try:
        run_in_transaction(change)
    except NotFoundError:
        raise
    except DomainError as error:
        flash(translate(error.detail), "error")
    else:
        flash(gettext("Saved. Players see it with the next version."), "success")
    return redirect(url_for("studio.quiz", quiz_id=quiz_id, _anchor="draws"))


def read_form(draft: Draft, sent: MultiDict[str, str]) -> DraftValues:
    """Return the draft's values after what the form says.

    Raises:
        InvalidInputError: when a number is none.
    """
    points = {item_id: _read_number(sent, f"points-{item_id}", draft.points_of(item_id)) for item_id in draft.item_ids}
    action, _, number = sent.get("action", "").partition(" ")
    chosen = list(draft.draws)
    if action == "remove" and is_decimal(number, MAX_DIGITS) and int(number) < len(chosen):
        del chosen[int(number)]
    elif action == "add":
        chosen.append(_read_draw(draft, sent))
    return replace(draft.to_values(), points=points, draws=tuple(chosen))


def _read_draw(draft: Draft, sent: MultiDict[str, str]) -> Draw:
    end = len(draft.item_ids)
    return Draw(
        position=min(_read_number(sent, "position", end), end),
        size=_read_number(sent, "size", 1),
        category=sent.get("category") or None,
        difficulty=sent.get("difficulty") or None,
        tag=sent.get("tag") or None,
        points=_read_number(sent, "points", 1),
        for_each_player=sent.get("for") != "all",
    )


def _read_number(sent: MultiDict[str, str], name: str, default: int) -> int:
    text = sent.get(name, "").strip()
    if not text:
        return default
    if not is_decimal(text, MAX_DIGITS):
        raise InvalidInputError("Give whole numbers.")
    return int(text)
