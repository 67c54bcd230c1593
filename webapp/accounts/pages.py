"""Pages: sign in and out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask_login import login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts import passwords, users
from webapp.accounts.auth import SessionUser, cache_user_in_session
from webapp.web.security.console_listener import is_console_listener

blueprint = Blueprint("account_pages", __name__)


class SignInForm(FlaskForm):  # type: ignore[misc]
    """Name and password."""

    name = StringField("Name", [InputRequired(), Length(max=64)])
    password = PasswordField("Password", [InputRequired(), Length(max=passwords.MAX_LENGTH)])


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> str | Response | tuple[str, int]:
    """Ask for name and password; a good pair goes on to where the person was heading."""
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("accounts/sign_in.html", form=form, wrong=False)
    name, password = form.name.data or "", form.password.data or ""
    # An operator must be able to come in when players have taken all connections but the console's.
    borrow = get_pooling().console.read if is_console_listener() else read
    with borrow() as connection:
        found = users.find_credentials(connection, name)
    if not passwords.verify_password(password, found.password_hash if found else None) or found is None:
        return render_template("accounts/sign_in.html", form=form, wrong=True), 401
    login_user(SessionUser(found.user))
    cache_user_in_session(found.user)
    return redirect(_safe_next_url())


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("quiz_pages.open_quizzes"))


def _safe_next_url() -> str:
    wanted = request.args.get("next", "")
    # Only our own signed-in pages: never an address somebody else has put into the link.
    is_ours = wanted.startswith(("/studio", "/console")) and "\\" not in wanted
    return wanted if is_ours else url_for("studio.quizzes")
