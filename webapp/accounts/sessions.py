"""Sessions of signed-in browsers: each is a row, which signing out deletes, so that a kept cookie opens nothing."""

from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from webapp.accounts.models import User, UserSession
from webapp.accounts.users import UserRecord, find_id, user_columns, user_record
from webapp.db.timestamps import seconds_ago, utc_now

SESSION_TTL = timedelta(days=31)
"""After this time a session ends by itself."""
_TTL_SECONDS = int(SESSION_TTL.total_seconds())


def start(connection: Connection, user_id: int) -> uuid.UUID:
    """Begin a session and return its id; sessions of the user that have ended by themselves are forgotten."""
    session_id = uuid.uuid4()
    connection.execute(
        delete(UserSession).where(
            UserSession.user_id == user_id, UserSession.created_at < seconds_ago(bindparam("ttl"))
        ),
        {"ttl": _TTL_SECONDS},
    )
    connection.execute(insert(UserSession).values(id=session_id, user_id=user_id, created_at=utc_now()))
    connection.execute(update(User).where(User.id == user_id).values(last_sign_in_at=utc_now()))
    return session_id


def find_user(connection: Connection, session_id: uuid.UUID) -> UserRecord | None:
    """Return the user of a session; None when it has ended, or the user is disabled."""
    row = connection.execute(
        select(*user_columns())
        .join(UserSession, UserSession.user_id == User.id)
        .where(
            UserSession.id == session_id,
            UserSession.created_at >= seconds_ago(bindparam("ttl")),
            User.disabled_at.is_(None),
        ),
        {"ttl": _TTL_SECONDS},
    ).one_or_none()
    return None if row is None else user_record(row)


def end(connection: Connection, session_id: uuid.UUID) -> None:
    """End a session; ending one that has ended changes nothing."""
    connection.execute(delete(UserSession).where(UserSession.id == session_id))


def end_all(connection: Connection, name: str) -> int:
    """End all sessions and REST tokens of a user; return how many sessions there were.

    Raises:
        NotFoundError: when there is no such user.
    """
    user_id = find_id(connection, name)
    connection.execute(update(User).where(User.id == user_id).values(session_generation=User.session_generation + 1))
    return connection.execute(delete(UserSession).where(UserSession.user_id == user_id)).rowcount
