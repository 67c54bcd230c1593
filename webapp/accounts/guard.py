"""The guard in front of routes: who is asking, and may they? All checks of roles happen here."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app, g, redirect, request, url_for
from flask_login import UserMixin, current_user

from webapp.accounts import tokens, users
from webapp.accounts.roles import Permission
from webapp.accounts.users import KnownUser
from webapp.errors import ForbiddenError, SignInRequiredError
from webapp.extensions import login
from webapp.pooling.extension import read

View = TypeVar("View", bound=Callable[..., Any])


class SignedIn(UserMixin):  # type: ignore[misc]
    """A user in a browser session; the stamp ends the session when the password changes."""

    def __init__(self, user: KnownUser) -> None:
        """Wrap a user for Flask-Login."""
        self.user = user

    def get_id(self) -> str:
        """Return what the session cookie carries."""
        return f"{self.user.id}.{self.user.stamp}"


def register(app: Flask) -> None:
    """Tell Flask-Login how a session becomes a user."""
    login.init_app(app)
    login.user_loader(_load_signed_in)
    app.jinja_env.globals["Permission"] = Permission


def page_for(permission: Permission) -> Callable[[View], View]:
    """Declare a page for users with this permission; others are sent to sign in."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_user.is_authenticated:
                wanted = request.full_path.rstrip("?") if request.method == "GET" else None
                return redirect(url_for("account_pages.sign_in", next=wanted))
            _check(current_user.user, permission)
            return view(*args, **kwargs)

        guarded.guarded_by = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return declare


def api_for(permission: Permission) -> Callable[[View], View]:
    """Declare an operation for bearer tokens of users with this permission."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            _check(bearer(), permission)
            return view(*args, **kwargs)

        described = deepcopy(getattr(guarded, "_apidoc", {}))
        described.setdefault("manual_doc", {})["security"] = [{"bearer": []}]
        guarded._apidoc = described  # type: ignore[attr-defined]  # noqa: SLF001 - flask-smorest's own hook
        guarded.guarded_by = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return declare


def bearer() -> KnownUser:
    """Return the user whose token came with this request.

    Raises:
        SignInRequiredError: when there is no good token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRequiredError("Send Authorization: Bearer with a token from POST /api/v1/tokens.")
    claim = tokens.read(token.strip(), current_app.config["SECRET_KEY"], current_app.config["TOKEN_SECONDS"])
    with read() as connection:
        user = users.find(connection, claim.user_id)
    if user is None or user.stamp != claim.stamp:
        raise SignInRequiredError("The token's user is gone or has changed the password; get a new token.")
    g.user = user
    return user


def asking_user() -> KnownUser:
    """Return the user that the guard let in."""
    user: KnownUser = g.user
    return user


def _check(user: KnownUser, permission: Permission) -> None:
    if not user.may(permission):
        raise ForbiddenError(f"Your role, {user.role.value}, does not allow to {permission.value}.")
    g.user = user


def _load_signed_in(session_id: str) -> SignedIn | None:
    number, _, stamp = session_id.partition(".")
    if not number.isdecimal():
        return None
    with read() as connection:
        user = users.find(connection, int(number))
    return SignedIn(user) if user is not None and user.stamp == stamp else None
