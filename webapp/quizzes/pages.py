"""Pages: the open quizzes for players, and the studio in which authors edit them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.bank import items, tags
from webapp.bank.items import Filters
from webapp.errors import DomainError, NotFoundError
from webapp.quizzes import documents, draft_list, drafts, published, publishing
from webapp.quizzes.builder.forms import rows_of
from webapp.quizzes.drafts import DraftValues
from webapp.quizzes.forms import DetailsForm, RulesForm, rules_form
from webapp.quizzes.local_times import known_zone
from webapp.quizzes.published import QuizId, QuizState
from webapp.quizzes.published_cache import invalidate_after_write
from webapp.web.cookies import set_cookie
from webapp.web.languages import translate
from webapp.web.rest import pagination
from webapp.web.rest.openapi import ID
from webapp.web.validators import is_id

blueprint = Blueprint("quiz_pages", __name__)
studio = Blueprint("studio", __name__, url_prefix="/studio")

TIME_ZONE_COOKIE = "time_zone"
"""Of the author's times; set by time-zone.js until the author chooses one."""
TIME_ZONE_COOKIE_MAX_AGE = timedelta(days=365)
BANK_PAGE_SIZE = 20
LIST_PAGE_SIZE = 50


@blueprint.get("/")
def open_quizzes() -> str:
    """List the quizzes that can be played now, and those that will be."""
    with read() as connection:
        now_open = published.list_by_state(connection, QuizState.OPEN, None, LIST_PAGE_SIZE)
        upcoming = published.list_by_state(connection, QuizState.UPCOMING, None, LIST_PAGE_SIZE)
    return render_template("quizzes/open.html", now_open=now_open.rows, upcoming=upcoming.rows)


@studio.after_request
def _invalidate_cache(response: Response) -> Response:
    invalidate_after_write(current_app, request.method)
    return response


@studio.get("")
@require_page(Permission.EDIT_QUIZZES)
def quizzes() -> str:
    """List all quizzes, the newest first."""
    after = pagination.decode_cursor(request.args.get("cursor"))
    with read() as connection:
        page = draft_list.list_drafts(connection, after, LIST_PAGE_SIZE)
    return render_template("studio/quizzes.html", page=page)


@studio.route("/quizzes/new", methods=["GET", "POST"])
@require_page(Permission.EDIT_QUIZZES)
def new_quiz() -> str | WerkzeugResponse:
    """Begin a quiz."""
    form = DetailsForm()
    if not form.validate_on_submit():
        return render_template("studio/new.html", form=form)
    values = DraftValues((form.title.data or "").strip(), form.description.data or "")
    draft = run_in_transaction(lambda connection: drafts.create(connection, values))
    return _redirect_to_quiz(draft.id)


@studio.get(f"/quizzes/<{ID}:quiz_id>")
@require_page(Permission.EDIT_QUIZZES)
def quiz(quiz_id: int) -> str:
    """Show a draft with its items, a search of the bank, and its published versions."""
    filters = Filters(
        words=request.args.get("search") or None,
        category=request.args.get("category") or None,
        difficulty=request.args.get("difficulty") or None,
        tag=request.args.get("tag") or None,
    )
    after = pagination.decode_cursor(request.args.get("cursor"))
    zone = request.cookies.get(TIME_ZONE_COOKIE)
    with read() as connection:
        draft = drafts.find(connection, quiz_id)
        chosen = items.find_many(connection, draft.item_ids)
        page = items.search(connection, filters, after, BANK_PAGE_SIZE)
        categories, known_tags = items.categories(connection), tags.list_tags(connection)
        versions = published.list_versions(connection, quiz_id)
    in_order = [chosen[item_id] for item_id in draft.item_ids]
    return render_template(
        "studio/quiz.html",
        draft=draft,
        chosen=in_order,
        origins=documents.collect_origins(in_order),
        page=page,
        categories=categories,
        tags=known_tags,
        rows=rows_of(draft),
        by_id=chosen,
        versions=versions,
        details=DetailsForm(formdata=None, title=draft.title, description=draft.description),
        rules=rules_form(versions[0].rules if versions else None, known_zone(zone)),
        zone_is_known=zone is not None,
    )


@studio.post(f"/quizzes/<{ID}:quiz_id>/details")
@require_page(Permission.EDIT_QUIZZES)
def change_details(quiz_id: int) -> WerkzeugResponse:
    """Change title and description; the title of a published quiz changes for its players, too."""
    form = DetailsForm()
    if not form.validate_on_submit():
        return _redirect_to_quiz(quiz_id, *_form_errors(form))
    title, description = (form.title.data or "").strip(), form.description.data or ""
    return _update_draft(quiz_id, lambda values: replace(values, title=title, description=description))


@studio.post(f"/quizzes/<{ID}:quiz_id>/publish")
@require_page(Permission.EDIT_QUIZZES)
def publish(quiz_id: int) -> WerkzeugResponse:
    """Freeze the draft into a version. The form of a published quiz has no rules, which stay as they are."""
    form = RulesForm()
    if not form.validate_on_submit():
        return _redirect_to_quiz(quiz_id, *_form_errors(form))
    rules = form.opens_utc(), form.closes_utc(), form.chosen_answers_shown()
    unlisted, others = form.chosen_unlisted(), form.attempt_changes()
    try:
        version = run_in_transaction(
            lambda connection: publishing.publish(connection, quiz_id, *rules, is_unlisted=unlisted, other_rules=others)
        )
    except DomainError as error:
        return _redirect_to_quiz(quiz_id, error.detail)
    flash(gettext("Published as version %(number)s.", number=version.number), "success")
    return _remember_zone(form, redirect(url_for("sharing.share", quiz_id=quiz_id)))


@studio.post(f"/quizzes/<{ID}:quiz_id>/rules")
@require_page(Permission.EDIT_QUIZZES)
def change_rules(quiz_id: int) -> WerkzeugResponse:
    """Change the rules of a published quiz; no new version is made."""
    form = RulesForm()
    if not form.validate_on_submit():
        return _redirect_to_quiz(quiz_id, *_form_errors(form))

    def change(connection: Connection) -> None:
        present = published.current(connection, QuizId(quiz_id)).rules
        publishing.change_rules(connection, quiz_id, form.changes_of(present))

    try:
        run_in_transaction(change)
    except NotFoundError:
        raise
    except DomainError as error:
        return _redirect_to_quiz(quiz_id, error.detail)
    flash(gettext("Saved. Players see it now; no new version was made."), "success")
    return _remember_zone(form, _redirect_to_quiz(quiz_id))


@studio.post(f"/quizzes/<{ID}:quiz_id>/close")
@require_page(Permission.EDIT_QUIZZES)
def close(quiz_id: int) -> WerkzeugResponse:
    """End the window now."""
    run_in_transaction(lambda connection: publishing.close(connection, quiz_id))
    flash(gettext("Closed. Answers are refused from now on."), "success")
    return _redirect_to_quiz(quiz_id)


@studio.post(f"/quizzes/<{ID}:quiz_id>/delete")
@require_page(Permission.EDIT_QUIZZES)
def delete(quiz_id: int) -> WerkzeugResponse:
    """Delete a draft that was never published."""
    try:
        run_in_transaction(lambda connection: drafts.remove(connection, quiz_id))
    except NotFoundError:
        pass
    except DomainError as error:
        return _redirect_to_quiz(quiz_id, error.detail)
    flash(gettext("Deleted."), "success")
    return redirect(url_for("studio.quizzes"))


def _update_draft(quiz_id: int, edit: Callable[[DraftValues], DraftValues]) -> WerkzeugResponse:
    """Change the draft unless it was changed after the page was shown."""
    version = request.form.get("version", "")

    def change(connection: Connection) -> None:
        values = edit(drafts.find(connection, quiz_id).to_values())
        drafts.change(connection, quiz_id, values, int(version) if is_id(version) else 0)
        publishing.change_title(connection, quiz_id, values.title)

    try:
        run_in_transaction(change)
    except NotFoundError:
        raise
    except DomainError as error:
        return _redirect_to_quiz(quiz_id, error.detail)
    return _redirect_to_quiz(quiz_id)


def _redirect_to_quiz(quiz_id: int, *errors: str) -> WerkzeugResponse:
    for error in errors:
        flash(translate(error), "error")
    filters: dict[str, Any] = {
        name: request.form.get(f"keep_{name}") for name in ("search", "category", "difficulty", "tag")
    }
    return redirect(url_for("studio.quiz", quiz_id=quiz_id, **filters))


def _remember_zone(form: RulesForm, response: WerkzeugResponse) -> WerkzeugResponse:
    """Say how the times of a form were understood, and keep the time zone for the next one."""
    if "time_zone" in request.form:
        for note in form.notes():
            flash(note, "success")
        set_cookie(response, TIME_ZONE_COOKIE, form.zone, TIME_ZONE_COOKIE_MAX_AGE, url_for("studio.quizzes"))
    return response


def _form_errors(form: FlaskForm) -> list[str]:
    return [f"{field.label.text}: {error}" for field in form for error in field.errors]
