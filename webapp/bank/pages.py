"""The studio's pages of the bank: its items, imports and exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from werkzeug.wrappers import Response as WerkzeugResponse
from wtforms import SelectField, StringField
from wtforms.validators import Length

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts.auth import get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.bank import exports, import_jobs, import_service, import_undo, item_history, items, tags
from webapp.bank.exports import ExportFormat
from webapp.bank.formats.line_reader import MIB
from webapp.bank.import_jobs import ImportJob, ImportSpec, ImportState
from webapp.bank.imports import Format, detect_format
from webapp.bank.item_draft import MAX_CATEGORY_LENGTH
from webapp.bank.items import Filters
from webapp.errors import DomainError, NotFoundError
from webapp.web import long_work, uploads
from webapp.web.form_retry import retryable_form
from webapp.web.languages import translate
from webapp.web.rest import pagination
from webapp.web.rest.openapi import ID
from webapp.web.validators import validate_storable

blueprint = Blueprint("bank_pages", __name__, url_prefix="/studio")

ITEMS_PER_PAGE = 20
IMPORTS_PER_PAGE = 20
DETAILS_SHOWN = 100
DETECT_FORMAT = "name"
FORMAT_NAMES = {
    "json": "JSON",
    "gift": "GIFT",
    "csv": "CSV",
    "opentriviaqa": "OpenTriviaQA",
    "moodle-xml": "Moodle XML",
}
"""Names of formats; the others are shown by their own names, capitalised."""


class ImportForm(FlaskForm):  # type: ignore[misc]
    """A file of questions."""

    file = FileField(lazy_gettext("File"), [FileRequired(lazy_gettext("Choose a file."))])
    format = SelectField(lazy_gettext("Format"))
    category = StringField(lazy_gettext("Category"), [Length(max=MAX_CATEGORY_LENGTH), validate_storable])

    def __init__(self) -> None:
        """Offer every format."""
        super().__init__()
        self.format.choices = [
            (DETECT_FORMAT, gettext("as its name says")),
            *((each.value, format_name(each)) for each in Format),
        ]

    def to_spec(self) -> ImportSpec | None:
        """Return what is to be imported; None when the file's name does not tell its format."""
        name = PurePath(self.file.data.filename or "").name
        file_format = detect_format(name) if self.format.data == DETECT_FORMAT else Format(self.format.data)
        if file_format is None:
            return None
        category = (self.category.data or "").strip() or None
        return ImportSpec(get_current_user().name, name, file_format, category)


@dataclass(frozen=True)
class Download:
    """A format in which the bank can be downloaded."""

    name: str
    address: str


def format_name(file_format: str) -> str:
    """Return a format's name as the pages show it."""
    return FORMAT_NAMES.get(file_format, file_format.capitalize())


@blueprint.get("/items")
@require_page(Permission.EDIT_BANK)
def found() -> str:
    """Search the bank."""
    arguments = {name: request.args.get(name) or None for name in ("search", "category", "difficulty", "tag")}
    filters = Filters(arguments["category"], arguments["difficulty"], None, arguments["search"], arguments["tag"])
    with read() as connection:
        page = items.search(connection, filters, pagination.decode_cursor(request.args.get("cursor")), ITEMS_PER_PAGE)
        categories, known_tags = items.categories(connection), tags.list_tags(connection)
    downloads = [
        Download(format_name(each), url_for("bank_pages.export", format=each.value, category=arguments["category"]))
        for each in ExportFormat
    ]
    return render_template(
        "studio/items.html", page=page, categories=categories, tags=known_tags, query=arguments, downloads=downloads
    )


@blueprint.get(f"/items/<{ID}:item_id>")
@require_page(Permission.EDIT_BANK)
def item(item_id: int) -> str:
    """Show an item, its origin and its past versions."""
    with read() as connection:
        present = items.find(connection, item_id)
        versions = item_history.list_versions(connection, item_id)
    return render_template("studio/item.html", item=present, earlier=versions)


@blueprint.get("/export")
@require_page(Permission.EDIT_BANK)
@long_work.takes_long()
def export() -> Response:
    """Send the bank, or a category of it, as a file."""
    try:
        file_format = ExportFormat(request.args.get("format", ExportFormat.JSON))
    except ValueError as error:
        raise NotFoundError("The bank cannot be exported in this format.") from error
    name, media = exports.file_name_and_type(file_format)
    text = exports.stream_export(get_pooling().background, file_format, request.args.get("category") or None)
    return Response(text, mimetype=media, headers={"Content-Disposition": f"attachment; filename={name}"})


@blueprint.route("/import", methods=["GET", "POST"])
@require_page(Permission.EDIT_BANK)
@uploads.accepts_upload
@long_work.takes_long("POST")
def begin() -> str | WerkzeugResponse:
    """Store an uploaded file and show what importing it would do; show the recent imports."""
    form = ImportForm()
    if form.validate_on_submit():
        spec = form.to_spec()
        if spec is None:
            form.format.errors = [gettext("The file's name does not tell its format; choose it.")]
        else:
            return _dry_run_upload(spec, form.file.data.stream)
    with read() as connection:
        page = import_jobs.list_latest(
            connection, pagination.decode_cursor(request.args.get("cursor")), IMPORTS_PER_PAGE
        )
    max_mib = current_app.config[uploads.MAX_UPLOAD_CONFIG_KEY] // MIB
    return render_template("studio/import.html", form=form, page=page, largest=max_mib)


@blueprint.get(f"/imports/<{ID}:import_id>")
@require_page(Permission.EDIT_BANK)
def imported(import_id: int) -> str:
    """Show what an import would do, or has done."""
    with read() as connection:
        job = import_jobs.find(connection, import_id)
    return render_template(
        "studio/imported.html", job=job, State=ImportState, format_name=format_name, max_details=DETAILS_SHOWN
    )


@blueprint.post(f"/imports/<{ID}:import_id>/import")
@require_page(Permission.EDIT_BANK)
@long_work.takes_long()
@retryable_form("The file is kept and nothing of it is lost; import it again in a moment.")
def carry_out(import_id: int) -> WerkzeugResponse:
    """Import a file after its dry run."""
    try:
        job = import_service.run(get_pooling().background, import_id)
    except DomainError as error:
        return _redirect_with_error(error, import_id)
    flash(_summarize(job), "success")
    return redirect(url_for("bank_pages.imported", import_id=import_id))


@blueprint.post(f"/imports/<{ID}:import_id>/undo")
@require_page(Permission.EDIT_BANK)
@long_work.takes_long()
@retryable_form("Nothing is lost; undo it again in a moment. What is undone already stays so.")
def undo(import_id: int) -> WerkzeugResponse:
    """Undo an import."""
    try:
        with import_service.import_lock():
            job = import_undo.undo(get_pooling().background, import_id)
    except DomainError as error:
        return _redirect_with_error(error, import_id)
    text = gettext(
        "Undone: %(removed)s removed, %(restored)s brought back to what they were.",
        removed=job.removed,
        restored=job.restored,
    )
    flash(text, "success")
    return redirect(url_for("bank_pages.imported", import_id=import_id))


def _dry_run_upload(spec: ImportSpec, upload: Any) -> WerkzeugResponse:
    work = get_pooling().background
    try:
        job = import_service.process_upload(
            work, spec, upload, current_app.config[uploads.MAX_UPLOAD_CONFIG_KEY], import_service.dry_run
        )
    except DomainError as error:
        return _redirect_with_error(error, None)
    return redirect(url_for("bank_pages.imported", import_id=job.id))


def _redirect_with_error(error: DomainError, import_id: int | None) -> WerkzeugResponse:
    """Show an error on the page where the author can correct it; errors of the server are answered as everywhere."""
    if isinstance(error, NotFoundError) or error.status >= 500:  # noqa: PLR2004 - an error of the server
        raise error
    flash(translate(error.detail), "error")
    if import_id is None or error.status == 422:  # noqa: PLR2004 - the file has been deleted
        return redirect(url_for("bank_pages.begin"))
    return redirect(url_for("bank_pages.imported", import_id=import_id))


def _summarize(job: ImportJob) -> str:
    if job.changed:
        return str(gettext("Imported: %(new)s new, %(changed)s changed.", new=job.new, changed=job.changed))
    return str(gettext("Imported: %(new)s new.", new=job.new))
