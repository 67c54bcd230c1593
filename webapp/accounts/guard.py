"""The guard in front of routes: who is asking, and may they? All checks of roles happen here."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_login import UserMixin, current_user
from sqlalchemy.exc import SQLAlchemyError

from webapp.accounts import tokens, users
from webapp.accounts.roles import Permission, Role
from webapp.accounts.users import KnownUser
from webapp.errors import ForbiddenError, SignInRequiredError
from webapp.extensions import login
from webapp.pooling.extension import pooling_of_this_app, read

CONSOLE = "console"
"""The blueprint that has to be seen also when the database is away."""
VOUCHED = "vouched"
VOUCHED_FOR = 24 * 3600.0
"""Seconds after the database has last known somebody during which his session is believed without it."""
VOUCHED_ANEW_AFTER = 60.0
NOT_ASKED_AGAIN_FOR = 2.0
_trouble = [-NOT_ASKED_AGAIN_FOR]
"""When the database was last found away, on the monotonic clock."""

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


def vouch_for(user: KnownUser) -> None:
    """Remember in the signed session who this is, so that the console can be looked at while the database is away."""
    session[VOUCHED] = {"id": user.id, "name": user.name, "role": user.role.value, "stamp": user.stamp,
                        "at": int(time.time())}  # fmt: skip


def _load_signed_in(session_id: str) -> SignedIn | None:
    number, _, stamp = session_id.partition(".")
    if not number.isdecimal():
        return None
    try:
        user = _find(int(number))
    except SQLAlchemyError:
        if not _is_console():
            raise
        _trouble[0] = time.monotonic()
        user = _vouched_for(int(number))
    else:
        if user is not None and _is_console() and _age_of_vouching() > VOUCHED_ANEW_AFTER:
            vouch_for(user)
    return SignedIn(user) if user is not None and user.stamp == stamp else None


def _find(number: int) -> KnownUser | None:
    if not _is_console():
        with read() as connection:
            return users.find(connection, number)
    if time.monotonic() - _trouble[0] < NOT_ASKED_AGAIN_FOR:
        return _vouched_for(number)
    # A connection that no player's request can take.
    with pooling_of_this_app().console.read() as connection:
        return users.find(connection, number)


def _is_console() -> bool:
    return request.blueprint == CONSOLE


def _age_of_vouching() -> float:
    return time.time() - float(session.get(VOUCHED, {}).get("at", 0))


def _vouched_for(number: int) -> KnownUser | None:
    known = session.get(VOUCHED)
    if known is None or known["id"] != number or _age_of_vouching() > VOUCHED_FOR:
        return None
    return KnownUser(known["id"], known["name"], Role(known["role"]), known["stamp"], datetime.fromtimestamp(0, UTC))
