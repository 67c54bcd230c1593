"""Users: add, find, change the password, disable, remove."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.accounts.models import User, UserSession
from webapp.accounts.roles import ROLE_PERMISSIONS, Permission, Role
from webapp.db.timestamps import utc_now
from webapp.errors import InvalidInputError, NameTakenError, NotFoundError
from webapp.messages import message

USER_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")


@dataclass(frozen=True)
class UserRecord:
    """A user as the other features see one.

    `security_stamp` changes with the password, and when all sessions are ended.
    """

    id: int
    name: str
    role: Role
    security_stamp: str
    created_at: datetime
    last_sign_in_at: datetime | None = None
    disabled_at: datetime | None = None

    def has_permission(self, permission: Permission) -> bool:
        """Say whether the user's role allows this."""
        return permission in ROLE_PERMISSIONS[self.role]


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user: UserRecord
    password_hash: str


_COLUMNS = (
    User.id,
    User.name,
    User.role,
    User.password_hash,
    User.created_at,
    User.last_sign_in_at,
    User.disabled_at,
    User.session_generation,
)


def user_columns() -> tuple[Any, ...]:
    """Return the columns that `user_record` needs."""
    return _COLUMNS


def user_record(row: Any) -> UserRecord:
    """Return the user of a row with these columns."""
    content = f"{row.password_hash}:{row.session_generation}"
    stamp = hashlib.sha256(content.encode()).hexdigest()[:16]
    return UserRecord(row.id, row.name, Role(row.role), stamp, row.created_at, row.last_sign_in_at, row.disabled_at)


def canonical_name(name: str) -> str:
    """Return a name as it is stored, however it was typed.

    MySQL and MariaDB ignore blanks at the end when they compare: a guesser would have as many names for one user.
    """
    return name.strip().casefold()


def add(connection: Connection, name: str, password_hash: str, role: Role) -> int:
    """Add a user and return the id.

    Raises:
        InvalidInputError: for a name with other characters than the allowed ones.
        NameTakenError: when another user has the name.
    """
    name = canonical_name(name)
    if not USER_NAME_PATTERN.fullmatch(name):
        raise InvalidInputError("A user's name has 2 to 64 letters, digits or . _ @ + - and begins with one.")
    values = {"name": name, "password_hash": password_hash, "role": role.value, "created_at": utc_now()}
    try:
        result = connection.execute(insert(User).values(**values))
    except IntegrityError as error:
        raise NameTakenError(message("There is a user called %(name)s already.", name=name)) from error
    user_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return user_id


def find(connection: Connection, user_id: int) -> UserRecord | None:
    """Return the user with this id; None where there is none, or the user is disabled."""
    row = connection.execute(select(*_COLUMNS).where(User.id == user_id, User.disabled_at.is_(None))).one_or_none()
    return None if row is None else user_record(row)


def find_credentials(connection: Connection, name: str) -> Credentials | None:
    """Return what a sign-in under this name is checked against; None where there is no such user."""
    row = connection.execute(select(*_COLUMNS).where(User.name == canonical_name(name))).one_or_none()
    return None if row is None else Credentials(user_record(row), row.password_hash)


def list_users(connection: Connection) -> list[UserRecord]:
    """Return all users by name; an installation has a handful."""
    return [user_record(row) for row in connection.execute(select(*_COLUMNS).order_by(User.name).limit(1000))]


def change_password(connection: Connection, name: str, password_hash: str) -> None:
    """Give the user another password; sessions and tokens made with the old one end.

    Raises:
        NotFoundError: when there is no such user.
    """
    user_id = find_id(connection, name)
    connection.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    connection.execute(delete(UserSession).where(UserSession.user_id == user_id))


def find_id(connection: Connection, name: str) -> int:
    """Return the id of the user with this name.

    Raises:
        NotFoundError: when there is no such user.
    """
    user_id = connection.execute(select(User.id).where(User.name == canonical_name(name))).scalar()
    if user_id is None:
        raise NotFoundError(message("There is no user called %(name)s.", name=name))
    return user_id


def disable(connection: Connection, name: str) -> None:
    """Let the user sign in no more; sessions and tokens are void as long as it lasts.

    Raises:
        NotFoundError: when there is no such user.
    """
    user_id = find_id(connection, name)
    connection.execute(update(User).where(User.id == user_id, User.disabled_at.is_(None)).values(disabled_at=utc_now()))
    connection.execute(delete(UserSession).where(UserSession.user_id == user_id))


def enable(connection: Connection, name: str) -> None:
    """Let a disabled user sign in again.

    Raises:
        NotFoundError: when there is no such user.
    """
    user_id = find_id(connection, name)
    connection.execute(update(User).where(User.id == user_id).values(disabled_at=None))


def remove(connection: Connection, name: str) -> None:
    """Remove a user with all sessions; the quizzes stay.

    Raises:
        NotFoundError: when there is no such user.
    """
    connection.execute(delete(User).where(User.id == find_id(connection, name)))


def has_no_users(connection: Connection) -> bool:
    """Say whether this installation has no user at all."""
    return not connection.execute(select(exists(select(User.id)))).scalar_one()
