"""Tokens for REST: signed, expiring, void when the password changes."""

from __future__ import annotations

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

from webapp.accounts.users import KnownUser
from webapp.errors import SignInRequiredError


@dataclass(frozen=True)
class Claim:
    """What a good token says; the user must still exist and have this stamp."""

    user_id: int
    stamp: str


def issue(user: KnownUser, key: str) -> str:
    """Return a token for the user, signed with `key`."""
    token = _serializer(key).dumps([user.id, user.stamp])
    return token if isinstance(token, str) else token.decode()


def read(token: str, key: str, good_for: int) -> Claim:
    """Return what the token says; `good_for` in seconds.

    Raises:
        SignInRequiredError: when it is not ours, changed, or too old.
    """
    try:
        user_id, stamp = _serializer(key).loads(token, max_age=good_for)
    except (BadSignature, ValueError, TypeError) as error:
        raise SignInRequiredError("The token is not valid or has expired; get a new one.") from error
    return Claim(user_id, stamp)


def _serializer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="poolproof rest token")
