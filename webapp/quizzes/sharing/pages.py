"""Pages of the studio: how players come to a published quiz, and how many may come at once."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts.auth import require_page
from webapp.accounts.roles import Permission
from webapp.quizzes import forecast, join_code_store, join_codes, published, qr_code
from webapp.quizzes.published import QuizId
from webapp.quizzes.published_cache import invalidate_after_write
from webapp.web.rest.openapi import ID

blueprint = Blueprint("sharing", __name__, url_prefix=f"/studio/quizzes/<{ID}:quiz_id>/share")

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
REPORTS_FOLDER = "reports"
"""Of the lab, in the instance folder."""


@dataclass(frozen=True)
class Invitation:
    """What players need to join a quiz."""

    code: str
    """In groups, as it is read."""
    address: str
    """Leads to the quiz; it is in the QR code."""
    join_page: str
    """Where the code is typed, as it is read: without its scheme."""
    qr: Markup
    is_local: bool
    """Whether the addresses lead to the machine of the browser only, as those of a first try do."""


@blueprint.get("")
@require_page(Permission.EDIT_QUIZZES)
def share(quiz_id: int) -> str:
    """Show the join code of a published quiz, its QR code and addresses, and how many players may come."""
    with read() as connection:
        quiz = published.current(connection, QuizId(quiz_id))
        code = join_code_store.find(connection, quiz_id)
    reports = current_app.config["SETTINGS"].poolproof.instance / REPORTS_FOLDER
    return render_template(
        "studio/share.html", quiz=quiz, invitation=_invitation(code), forecast=forecast.read_forecast(reports)
    )


@blueprint.get("/poster")
@require_page(Permission.EDIT_QUIZZES)
def poster(quiz_id: int) -> str:
    """Show the page to print, or to project."""
    with read() as connection:
        quiz = published.current(connection, QuizId(quiz_id))
        code = join_code_store.find(connection, quiz_id)
    return render_template("studio/poster.html", quiz=quiz, invitation=_invitation(code))


@blueprint.post("/code")
@require_page(Permission.EDIT_QUIZZES)
def renew_code(quiz_id: int) -> Response:
    """Give the quiz another join code; the former one leads nowhere from now on."""

    def renew(connection: Connection) -> None:
        published.current(connection, QuizId(quiz_id))
        join_code_store.renew(connection, quiz_id)

    run_in_transaction(renew)
    invalidate_after_write(current_app, "POST")
    flash(gettext("This is the join code from now on. A former one leads nowhere."), "success")
    return redirect(url_for("sharing.share", quiz_id=quiz_id), 303)


def _invitation(code: str | None) -> Invitation | None:
    """Return what is shown of a code; None for a quiz that was published before there were codes."""
    if code is None:
        return None
    address = url_for("join_pages.join_by_address", code=code, _external=True)
    _, _, join_page = url_for("join_pages.ask", _external=True).partition("://")
    is_local = request.host.rpartition(":")[0].strip("[]") in LOCAL_HOSTS or request.host in LOCAL_HOSTS
    title = gettext("QR code: %(address)s", address=address)
    return Invitation(join_codes.in_groups(code), address, join_page, qr_code.as_svg(address, title), is_local)
