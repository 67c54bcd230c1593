"""Authentication and authorization of routes. All checks of permissions happen here."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_login import UserMixin, current_user
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import get_pooling, read
from webapp.accounts import sessions, tokens, users
from webapp.accounts.roles import Permission, Role
from webapp.accounts.users import UserRecord
from webapp.errors import ForbiddenError, SignInRequiredError
from webapp.extensions import login_manager
from webapp.messages import message
from webapp.web.rest.openapi import document_bearer_security

CONSOLE_BLUEPRINT = "console"
"""The blueprint whose pages are shown also while the database cannot be reached."""
CACHED_USER_KEY = "vouched"
CACHED_USER_TTL = 24 * 3600.0
"""Seconds after the last read of a user during which the session's copy is accepted without the database."""
CACHED_USER_REFRESH_INTERVAL = 60.0
DATABASE_RETRY_INTERVAL = 2.0
"""Seconds after a failed read of a user during which the console uses the session's copy at once."""

View = TypeVar("View", bound=Callable[..., Any])


class _DatabaseFailure:
    """When the database last failed to read a user, on the monotonic clock."""

    def __init__(self) -> None:
        self._failed_at = -DATABASE_RETRY_INTERVAL

    def record(self) -> None:
        self._failed_at = time.monotonic()

    def is_recent(self) -> bool:
        return time.monotonic() - self._failed_at < DATABASE_RETRY_INTERVAL


_database_failure = _DatabaseFailure()


class SessionUser(UserMixin):  # type: ignore[misc]
    """A user in a browser session, which is a row that signing out deletes."""

    def __init__(self, user: UserRecord, session_id: UUID) -> None:
        """Wrap a user for Flask-Login."""
        self.user = user
        self.session_id = session_id

    def get_id(self) -> str:
        """Return what the session cookie contains."""
        return self.session_id.hex


def init_app(app: Flask) -> None:
    """Give Flask-Login the function that loads a session's user, and check the user of each guarded view.

    That is done before anything reads the request's body.
    """
    login_manager.init_app(app)
    login_manager.user_loader(_load_session_user)
    app.before_request(_authorize_view)
    app.jinja_env.globals["Permission"] = Permission


def require_page(permission: Permission) -> Callable[[View], View]:
    """Declare a page for users with this permission; others are redirected to the sign-in."""

    def authorize() -> Response | None:
        if not current_user.is_authenticated:
            return_to = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("account_pages.sign_in", next=return_to))
        _authorize(current_user.user, permission)
        return None

    return partial(_guard, permission=permission, authorize=authorize)


def require_api(permission: Permission) -> Callable[[View], View]:
    """Declare an operation for bearer tokens of users with this permission."""

    def authorize() -> None:
        _authorize(authenticate_bearer(), permission)

    def declare(view: View) -> View:
        return document_bearer_security(_guard(view, permission, authorize))

    return declare


def _guard(view: View, permission: Permission, authorize: Callable[[], Response | None]) -> View:
    """Have `authorize` run before the view, and before the request's body is read; it may answer in its place."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        # In an app without `init_app` nobody has been looked at.
        get_current_user()
        return view(*args, **kwargs)

    guarded.required_permission = permission  # type: ignore[attr-defined]
    guarded.authorize = authorize  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def _authorize_view() -> Response | None:
    authorize = getattr(current_app.view_functions.get(request.endpoint or ""), "authorize", None)
    # OPTIONS is answered by Flask itself, from the routes alone.
    if authorize is None or request.method == "OPTIONS":
        return None
    answer: Response | None = authorize()
    return answer


def authenticate_bearer() -> UserRecord:
    """Return the user whose token was sent with this request.

    Raises:
        SignInRequiredError: when there is no valid token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRequiredError("Send Authorization: Bearer with a token from POST /api/v1/tokens.")
    claim = tokens.verify(token.strip(), current_app.config["SECRET_KEY"], current_app.config["API_TOKEN_TTL"])
    with read() as connection:
        user = users.find(connection, claim.user_id)
    if user is None or user.security_stamp != claim.security_stamp:
        raise SignInRequiredError(
            "The token is void: its user is gone or disabled, has changed the password, or has ended all sessions."
        )
    g.user = user
    return user


def get_current_user() -> UserRecord:
    """Return the user who was authorized for this request."""
    user: UserRecord = g.user
    return user


def _authorize(user: UserRecord, permission: Permission) -> None:
    if not user.has_permission(permission):
        raise ForbiddenError(
            message(
                "Your role, %(role)s, does not allow to %(permission)s.",
                role=message(user.role.value),
                permission=message(permission.value),
            )
        )
    g.user = user


def cache_user_in_session(user: UserRecord, session_id: UUID) -> None:
    """Store the user in the signed session, so that the console works while the database cannot be reached."""
    session[CACHED_USER_KEY] = {
        "session": session_id.hex,
        "id": user.id,
        "name": user.name,
        "role": user.role.value,
        "stamp": user.security_stamp,
        "at": int(time.time()),
    }


def _load_session_user(cookie: str) -> SessionUser | None:
    try:
        session_id = UUID(cookie)
    except ValueError:
        return None
    try:
        user = _find_user(session_id)
    except SQLAlchemyError:
        if not _is_console_request():
            raise
        _database_failure.record()
        user = _cached_user(session_id)
    else:
        if user is not None and _is_console_request() and _cached_user_age() > CACHED_USER_REFRESH_INTERVAL:
            cache_user_in_session(user, session_id)
    return SessionUser(user, session_id) if user is not None else None


def _find_user(session_id: UUID) -> UserRecord | None:
    if not _is_console_request():
        with read() as connection:
            return sessions.find_user(connection, session_id)
    if _database_failure.is_recent():
        return _cached_user(session_id)
    # A connection of the console's lane, which no player's request can take.
    with get_pooling().console.read() as connection:
        return sessions.find_user(connection, session_id)


def _is_console_request() -> bool:
    return request.blueprint == CONSOLE_BLUEPRINT


def _cached_user_age() -> float:
    return time.time() - float(session.get(CACHED_USER_KEY, {}).get("at", 0))


def _cached_user(session_id: UUID) -> UserRecord | None:
    cached = session.get(CACHED_USER_KEY)
    if cached is None or cached.get("session") != session_id.hex or _cached_user_age() > CACHED_USER_TTL:
        return None
    return UserRecord(
        cached["id"], cached["name"], Role(cached["role"]), cached["stamp"], datetime.fromtimestamp(0, UTC)
    )
