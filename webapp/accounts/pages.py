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
    """Ask for name and password; on success redirect to the page that was asked for."""
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("accounts/sign_in.html", form=form, wrong=False)
    name, password = form.name.data or "", form.password.data or ""
    # An operator must be able to sign in when players' requests hold all connections but the console's.
    connect = get_pooling().console.read if is_console_listener() else read
    with connect() as connection:
        credentials = users.find_credentials(connection, name)
    password_hash = credentials.password_hash if credentials is not None else None
    if not passwords.verify_password(password, password_hash) or credentials is None:
        return render_template("accounts/sign_in.html", form=form, wrong=True), 401
    login_user(SessionUser(credentials.user))
    cache_user_in_session(credentials.user)
    return redirect(_safe_next_url())


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("quiz_pages.open_quizzes"))


def _safe_next_url() -> str:
    next_url = request.args.get("next", "")
    # Only our own pages behind the sign-in: the link may have been written by an attacker.
    is_ours = next_url.startswith(("/studio", "/console")) and "\\" not in next_url
    return next_url if is_ours else url_for("studio.quizzes")
