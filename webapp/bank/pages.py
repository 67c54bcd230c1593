"""Pages: the bank in the studio, its items, and files in and out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from werkzeug.wrappers import Response as WerkzeugResponse
from wtforms import SelectField, StringField
from wtforms.validators import Length

from webapp.accounts.guard import asking_user, page_for
from webapp.accounts.roles import Permission
from webapp.bank import carrying, exports, items, register, undoing, versions
from webapp.bank.drafts import LONGEST_CATEGORY
from webapp.bank.exports import ExportFormat
from webapp.bank.imports import Format
from webapp.bank.items import Filters
from webapp.bank.pieces import MIB
from webapp.bank.register import About, Import, State
from webapp.errors import DomainError, NotFoundError
from webapp.pooling.extension import pooling_of_this_app, read
from webapp.web import cursors, uploads
from webapp.web.openapi import ID
from webapp.web.repeating import repeatable
from webapp.web.text import storable

blueprint = Blueprint("bank_pages", __name__, url_prefix="/studio")

FOUND_AT_ONCE = 20
IMPORTS_AT_ONCE = 20
TOLD_AT_ONCE = 100
BY_NAME = "name"
NAMES = {"json": "JSON", "gift": "GIFT", "csv": "CSV", "opentriviaqa": "OpenTriviaQA", "moodle-xml": "Moodle XML"}
"""What people call formats; of the others, what we call them, with a capital."""
ENDINGS = {"json": "json", "gift": "gift", "xml": "moodle-xml", "csv": "csv"}
"""Formats that a file's name tells."""


class ImportForm(FlaskForm):  # type: ignore[misc]
    """A file of questions."""

    file = FileField("File", [FileRequired("Choose a file.")])
    format = SelectField("Format")
    category = StringField("Category", [Length(max=LONGEST_CATEGORY), storable])

    def __init__(self) -> None:
        """Offer every format."""
        super().__init__()
        self.format.choices = [(BY_NAME, "as its name says"), *((one.value, called(one)) for one in Format)]

    def about(self) -> About | None:
        """Return what is to be imported; None when the file's name does not tell its format."""
        name = PurePath(self.file.data.filename or "").name
        chosen = self.format.data
        if chosen == BY_NAME:
            chosen = ENDINGS.get(name.rpartition(".")[2].lower(), "")
        if chosen not in set(Format):
            return None
        category = (self.category.data or "").strip() or None
        return About(asking_user().name, name, Format(chosen), category)


@dataclass(frozen=True)
class Download:
    """A format in which the bank can be had."""

    name: str
    address: str


def called(one: str) -> str:
    """Return what people call a format."""
    return NAMES.get(one, one.capitalize())


@blueprint.get("/items")
@page_for(Permission.EDIT_BANK)
def found() -> str:
    """Search the bank."""
    asked = {name: request.args.get(name) or None for name in ("search", "category", "difficulty")}
    filters = Filters(asked["category"], asked["difficulty"], None, asked["search"])
    with read() as connection:
        rows = items.search(connection, filters, cursors.decode(request.args.get("cursor")), FOUND_AT_ONCE)
        categories = items.categories(connection)
    page = cursors.Page(rows.rows, rows.next_after)
    downloads = [
        Download(called(one), url_for("bank_pages.export", format=one.value, category=asked["category"]))
        for one in ExportFormat
    ]
    return render_template("studio/items.html", page=page, categories=categories, asked=asked, downloads=downloads)


@blueprint.get(f"/items/<{ID}:item_id>")
@page_for(Permission.EDIT_BANK)
def item(item_id: int) -> str:
    """Show an item, where it comes from, and what it was."""
    with read() as connection:
        present = items.find(connection, item_id)
        earlier = versions.of(connection, item_id)
    return render_template("studio/item.html", item=present, earlier=earlier)


@blueprint.get("/export")
@page_for(Permission.EDIT_BANK)
def export() -> Response:
    """Send the bank, or a category of it, as a file."""
    try:
        file_format = ExportFormat(request.args.get("format", ExportFormat.JSON))
    except ValueError as error:
        raise NotFoundError("The bank cannot be had in this format.") from error
    name, media = exports.file_of(file_format)
    text = exports.download(pooling_of_this_app().background, file_format, request.args.get("category") or None)
    return Response(text, mimetype=media, headers={"Content-Disposition": f"attachment; filename={name}"})


@blueprint.route("/import", methods=["GET", "POST"])
@page_for(Permission.EDIT_BANK)
@uploads.takes_a_file
def begin() -> str | WerkzeugResponse:
    """Take a file and look what importing it would do; show the recent imports."""
    form = ImportForm()
    if form.validate_on_submit():
        about = form.about()
        if about is None:
            form.format.errors = ["The file's name does not tell its format; choose it."]
        else:
            return _look_at(about, form.file.data.stream)
    with read() as connection:
        rows = register.latest(connection, cursors.decode(request.args.get("cursor")), IMPORTS_AT_ONCE)
    page = cursors.Page(rows.rows, rows.next_after)
    largest = current_app.config[uploads.LARGEST] // MIB
    return render_template("studio/import.html", form=form, page=page, largest=largest)


@blueprint.get(f"/imports/<{ID}:import_id>")
@page_for(Permission.EDIT_BANK)
def imported(import_id: int) -> str:
    """Show what an import would do, or has done."""
    with read() as connection:
        found_import = register.find(connection, import_id)
    return render_template("studio/imported.html", one=found_import, State=State, called=called, most=TOLD_AT_ONCE)


@blueprint.post(f"/imports/<{ID}:import_id>/import")
@page_for(Permission.EDIT_BANK)
@repeatable("The file is kept and nothing of it is lost; import it again in a moment.")
def carry_out(import_id: int) -> WerkzeugResponse:
    """Import a file that was looked at."""
    try:
        done = carrying.carry_out(pooling_of_this_app().background, import_id)
    except DomainError as error:
        return _refused(error, import_id)
    flash(_sentence(done), "done")
    return redirect(url_for("bank_pages.imported", import_id=import_id))


@blueprint.post(f"/imports/<{ID}:import_id>/undo")
@page_for(Permission.EDIT_BANK)
@repeatable("Nothing is lost; undo it again in a moment. What is undone already stays so.")
def undo(import_id: int) -> WerkzeugResponse:
    """Undo an import."""
    try:
        with carrying.alone():
            undone = undoing.undo(pooling_of_this_app().background, import_id)
    except DomainError as error:
        return _refused(error, import_id)
    flash(f"Undone: {undone.removed} removed, {undone.restored} brought back to what they were.", "done")
    return redirect(url_for("bank_pages.imported", import_id=import_id))


def _look_at(about: About, upload: Any) -> WerkzeugResponse:
    work = pooling_of_this_app().background
    try:
        seen = carrying.take(work, about, upload, current_app.config[uploads.LARGEST], carrying.check)
    except DomainError as error:
        return _refused(error, None)
    return redirect(url_for("bank_pages.imported", import_id=seen.id))


def _refused(error: DomainError, import_id: int | None) -> WerkzeugResponse:
    """Say what was wrong where it can be put right; what is no fault of the author's is answered as everywhere."""
    if isinstance(error, NotFoundError) or error.status >= 500:  # noqa: PLR2004 - the server's own
        raise error
    flash(error.detail, "trouble")
    if import_id is None or error.status == 422:  # noqa: PLR2004 - the file is kept no longer
        return redirect(url_for("bank_pages.begin"))
    return redirect(url_for("bank_pages.imported", import_id=import_id))


def _sentence(done: Import) -> str:
    changed = f", {done.changed} changed" if done.changed else ""
    return f"Imported: {done.new} new{changed}."
