"""Passwords: argon2id with its library's defaults (RFC 9106), a few at a time.

A hash takes 64 MiB and tens of milliseconds of a core. Bounding how many run at once
keeps a flood of sign-ins from taking the memory and the cores that players need.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.errors import BusyError, InvalidInputError

SHORTEST = 10
LONGEST = 256
AT_ONCE = 2
WAIT = 3.0
"""Seconds a sign-in waits for its turn."""

_hasher = PasswordHasher()
_turns = BoundedSemaphore(AT_ONCE)
# Checked when there is no such user, so that time does not tell which names exist.
_nobody = _hasher.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """Return the hash to store.

    Raises:
        InvalidInputError: when the password is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInputError(f"A password has {SHORTEST} to {LONGEST} characters.")
    with _turn():
        return _hasher.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Say whether the password belongs to the hash; as slow for None as for a wrong one."""
    with _turn():
        try:
            return _hasher.verify(password_hash or _nobody, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def random_password() -> str:
    """Return a password nobody has to invent: 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT):
        raise BusyError("Many people are signing in just now. Please try again in a moment.")
    try:
        yield
    finally:
        _turns.release()
