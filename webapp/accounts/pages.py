"""Pages: sign in and out."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from poolproof.integrations.flask_ext import get_pooling
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts import authentication, devices, passwords, sessions, users
from webapp.accounts.auth import SessionUser, cache_user_in_session
from webapp.errors import DomainError, ForbiddenError, SignInRequiredError, SignInThrottledError
from webapp.web.cookies import set_cookie
from webapp.web.languages import translate
from webapp.web.path_prefix import with_prefix
from webapp.web.security.console_listener import is_console_listener

blueprint = Blueprint("account_pages", __name__)

DEVICE_COOKIE = "device"


class SignInForm(FlaskForm):  # type: ignore[misc]
    """Name and password."""

    name = StringField(lazy_gettext("Name"), [InputRequired(), Length(max=64)])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(), Length(max=passwords.MAX_LENGTH)])


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> str | Response:
    """Ask for name and password; on success redirect to the page that was asked for."""
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("accounts/sign_in.html", form=form, problem=None)
    name, password = users.canonical_name(form.name.data or ""), form.password.data or ""
    work, key = _work(), current_app.config["SECRET_KEY"]
    device = devices.read_device(request.cookies.get(DEVICE_COOKIE, ""), key)
    try:
        user = authentication.authenticate(work, name, password, device)
    except (SignInRequiredError, SignInThrottledError, ForbiddenError) as error:
        return _render_refusal(form, error)
    session_id = work.run_in_transaction(lambda connection: sessions.start(connection, user.id))
    login_user(SessionUser(user, session_id))
    cache_user_in_session(user, session_id)
    response = redirect(_safe_next_url())
    cookie = devices.issue(device.with_name(name), key)
    set_cookie(response, DEVICE_COOKIE, cookie, devices.MAX_AGE, with_prefix("/sign-in"))
    return response


def _render_refusal(form: SignInForm, error: DomainError) -> Response:
    response = make_response(
        render_template("accounts/sign_in.html", form=form, problem=translate(error.detail)), error.status
    )
    if isinstance(error, SignInThrottledError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session, on the server too: a copy of the cookie opens nothing."""
    if current_user.is_authenticated:
        session_id: UUID = current_user.session_id
        _work().run_in_transaction(lambda connection: sessions.end(connection, session_id), idempotent=True)
    logout_user()
    return redirect(url_for("quiz_pages.open_quizzes"))


def _work() -> UnitOfWork:
    # An operator must be able to sign in when players' requests hold all connections but the console's.
    return get_pooling().console if is_console_listener() else get_pooling().work


def _safe_next_url() -> str:
    next_url = request.args.get("next", "")
    # Only our own pages behind the sign-in: the link may have been written by an attacker.
    is_ours = next_url.startswith(("/studio", "/console")) and "\\" not in next_url and next_url.isprintable()
    return with_prefix(next_url) if is_ours else url_for("studio.quizzes")
