"""Pages: the open quizzes for players, and the studio where authors build them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from werkzeug.wrappers import Response as WerkzeugResponse
from wtforms import DateTimeLocalField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from webapp.accounts.guard import page_for
from webapp.accounts.roles import Permission
from webapp.bank import items
from webapp.bank.items import Filters
from webapp.errors import DomainError, NotFoundError
from webapp.pooling.extension import read, transact
from webapp.quizzes import documents, drafts, published, publishing
from webapp.quizzes.drafts import LONGEST_DESCRIPTION, LONGEST_TITLE, Draft, DraftValues
from webapp.quizzes.published import State
from webapp.quizzes.shelf import look_again_after_changes
from webapp.web import cursors
from webapp.web.openapi import ID
from webapp.web.text import storable

blueprint = Blueprint("quiz_pages", __name__)
studio = Blueprint("studio", __name__, url_prefix="/studio")

FOUND_AT_ONCE = 20
LISTED_AT_ONCE = 50
DIGITS_OF_AN_ID = 18


class DetailsForm(FlaskForm):  # type: ignore[misc]
    """Title and description of a quiz."""

    title = StringField("Title", [DataRequired("Give a title."), Length(max=LONGEST_TITLE), storable])
    description = TextAreaField("Description", [Length(max=LONGEST_DESCRIPTION), storable])


class WindowForm(FlaskForm):  # type: ignore[misc]
    """When a quiz is open, in UTC."""

    opens_at = DateTimeLocalField("Opens (UTC)", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    closes_at = DateTimeLocalField("Closes (UTC)", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@blueprint.get("/")
def open_quizzes() -> str:
    """List the quizzes that can be played now, and those that will be."""
    with read() as connection:
        now_open = published.listing(connection, State.OPEN, None, LISTED_AT_ONCE)
        upcoming = published.listing(connection, State.UPCOMING, None, LISTED_AT_ONCE)
    return render_template("quizzes/open.html", now_open=now_open.rows, upcoming=upcoming.rows)


@studio.after_request
def _look_again(response: Response) -> Response:
    look_again_after_changes(current_app, request.method)
    return response


@studio.get("")
@page_for(Permission.EDIT_QUIZZES)
def quizzes() -> str:
    """List all quizzes, the newest first."""
    after = cursors.decode(request.args.get("cursor"))
    with read() as connection:
        found = drafts.everything(connection, after, LISTED_AT_ONCE)
    page = cursors.Page(found.rows, found.next_after)
    return render_template("studio/quizzes.html", page=page)


@studio.route("/quizzes/new", methods=["GET", "POST"])
@page_for(Permission.EDIT_QUIZZES)
def new_quiz() -> str | WerkzeugResponse:
    """Begin a quiz."""
    form = DetailsForm()
    if not form.validate_on_submit():
        return render_template("studio/new.html", form=form)
    values = DraftValues((form.title.data or "").strip(), form.description.data or "")
    draft = transact(lambda connection: drafts.create(connection, values))
    return _back_to(draft.id)


@studio.get(f"/quizzes/<{ID}:quiz_id>")
@page_for(Permission.EDIT_QUIZZES)
def quiz(quiz_id: int) -> str:
    """Show a draft with its items, a search of the bank, and its published versions."""
    filters = Filters(
        words=request.args.get("search") or None,
        category=request.args.get("category") or None,
        difficulty=request.args.get("difficulty") or None,
    )
    after = cursors.decode(request.args.get("cursor"))
    with read() as connection:
        draft = drafts.find(connection, quiz_id)
        chosen = items.find_many(connection, draft.item_ids)
        found = items.search(connection, filters, after, FOUND_AT_ONCE)
        categories = items.categories(connection)
        versions = published.all_versions(connection, quiz_id)
    in_order = [chosen[one] for one in draft.item_ids]
    return render_template(
        "studio/quiz.html",
        draft=draft,
        chosen=in_order,
        origins=documents.origins(in_order),
        page=cursors.Page(found.rows, found.next_after),
        categories=categories,
        versions=versions,
        details=DetailsForm(formdata=None, title=draft.title, description=draft.description),
        window=WindowForm(formdata=None),
    )


@studio.post(f"/quizzes/<{ID}:quiz_id>/details")
@page_for(Permission.EDIT_QUIZZES)
def change_details(quiz_id: int) -> WerkzeugResponse:
    """Change title and description."""
    form = DetailsForm()
    if not form.validate_on_submit():
        return _back_to(quiz_id, *_errors_of(form))
    title, description = (form.title.data or "").strip(), form.description.data or ""
    return _change(quiz_id, lambda draft: (title, description, draft.item_ids))


@studio.post(f"/quizzes/<{ID}:quiz_id>/items")
@page_for(Permission.EDIT_QUIZZES)
def change_items(quiz_id: int) -> WerkzeugResponse:
    """Add the ticked items, or move or remove one."""
    add = [int(one) for one in request.form.getlist("add") if _is_id(one)]
    deed, _, number = request.form.get("deed", "").partition(" ")

    def changed(draft: Draft) -> tuple[str, str, tuple[int, ...]]:
        return draft.title, draft.description, _rearranged(draft.item_ids, deed, number, add)

    return _change(quiz_id, changed)


@studio.post(f"/quizzes/<{ID}:quiz_id>/publish")
@page_for(Permission.EDIT_QUIZZES)
def publish(quiz_id: int) -> WerkzeugResponse:
    """Freeze the draft into a version with a window."""
    form = WindowForm()
    if not form.validate_on_submit():
        return _back_to(quiz_id, *_errors_of(form))
    opens_at, closes_at = _utc(form.opens_at.data), _utc(form.closes_at.data)
    try:
        version = transact(lambda connection: publishing.publish(connection, quiz_id, opens_at, closes_at))
    except DomainError as error:
        return _back_to(quiz_id, error.detail)
    flash(f"Published as version {version.number}.", "done")
    return _back_to(quiz_id)


@studio.post(f"/quizzes/<{ID}:quiz_id>/close")
@page_for(Permission.EDIT_QUIZZES)
def close(quiz_id: int) -> WerkzeugResponse:
    """End the window now."""
    transact(lambda connection: publishing.close(connection, quiz_id))
    flash("Closed. Answers are refused from now on.", "done")
    return _back_to(quiz_id)


@studio.post(f"/quizzes/<{ID}:quiz_id>/delete")
@page_for(Permission.EDIT_QUIZZES)
def delete(quiz_id: int) -> WerkzeugResponse:
    """Delete a draft that was never published."""
    try:
        transact(lambda connection: drafts.remove(connection, quiz_id))
    except NotFoundError:
        pass
    except DomainError as error:
        return _back_to(quiz_id, error.detail)
    flash("Deleted.", "done")
    return redirect(url_for("studio.quizzes"))


def _change(quiz_id: int, changed: Callable[[Draft], tuple[str, str, tuple[int, ...]]]) -> WerkzeugResponse:
    """Change the draft unless it is not the one that the person saw."""
    seen = request.form.get("version", "")

    def deed(connection: Connection) -> None:
        draft = drafts.find(connection, quiz_id)
        title, description, item_ids = changed(draft)
        values = DraftValues(title, description, None, item_ids)
        drafts.change(connection, quiz_id, values, int(seen) if _is_id(seen) else 0)

    try:
        transact(deed)
    except NotFoundError:
        raise
    except DomainError as error:
        return _back_to(quiz_id, error.detail)
    return _back_to(quiz_id)


def _rearranged(item_ids: Sequence[int], deed: str, number: str, add: Sequence[int]) -> tuple[int, ...]:
    order = list(item_ids)
    if _is_id(number) and int(number) in order:
        place = order.index(int(number))
        item = order.pop(place)
        if deed == "up":
            order.insert(max(0, place - 1), item)
        elif deed == "down":
            order.insert(place + 1, item)
        elif deed != "remove":
            order.insert(place, item)
    return tuple(dict.fromkeys([*order, *add]))


def _back_to(quiz_id: int, *troubles: str) -> WerkzeugResponse:
    for trouble in troubles:
        flash(trouble, "trouble")
    kept: dict[str, Any] = {name: request.form.get(f"keep_{name}") for name in ("search", "category", "difficulty")}
    return redirect(url_for("studio.quiz", quiz_id=quiz_id, **kept))


def _errors_of(form: FlaskForm) -> list[str]:
    return [f"{field.label.text}: {error}" for field in form for error in field.errors]


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_OF_AN_ID
