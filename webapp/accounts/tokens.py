"""Tokens for REST: signed, expiring, void when the password changes."""

from __future__ import annotations

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

from webapp.accounts.users import UserRecord
from webapp.errors import SignInRequiredError


@dataclass(frozen=True)
class ApiTokenClaims:
    """The content of a valid token; the user must still exist and have this security stamp."""

    user_id: int
    security_stamp: str


def issue(user: UserRecord, key: str) -> str:
    """Return a token for the user, signed with `key`."""
    token = _serializer(key).dumps([user.id, user.security_stamp])
    return token if isinstance(token, str) else token.decode()


def verify(token: str, key: str, ttl: int) -> ApiTokenClaims:
    """Return the content of a token that is at most `ttl` seconds old.

    Raises:
        SignInRequiredError: when the token is not ours, was changed, or is too old.
    """
    try:
        user_id, stamp = _serializer(key).loads(token, max_age=ttl)
    except (BadSignature, ValueError, TypeError) as error:
        raise SignInRequiredError("The token is not valid or has expired; get a new one.") from error
    return ApiTokenClaims(user_id, stamp)


def _serializer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="poolproof rest token")
