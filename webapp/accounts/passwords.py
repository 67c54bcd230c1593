"""Passwords: argon2id with its library's defaults (RFC 9106), a few at a time.

A hash takes 64 MiB and tens of milliseconds of a core. Bounding how many run at once
keeps a flood of sign-ins from taking the memory and the cores that players need.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from poolproof.transactions.outcomes import WriteOutcome
from webapp.errors import BusyError, InvalidInputError

MIN_LENGTH = 10
MAX_LENGTH = 256
MAX_CONCURRENT_HASHES = 2
HASH_SLOT_TIMEOUT = 3.0
"""Seconds for which a sign-in waits until it may compute its hash."""

UNKNOWN_USER_HASH = "$argon2id$v=19$m=65536,t=3,p=4$0SunlgAsWFNgVwlZYIh5dw$57e3vr4ogvXSQgzFudqL1j0gzKxFML5RndfsHpc2eaw"
"""The hash of a random password that was not kept.

It is verified where there is no such user, so that the duration of a sign-in does not reveal which names exist. It has
the library's default parameters (a test checks that), and is a constant since computing it takes as long as a sign-in.
"""

_hash_slots = BoundedSemaphore(MAX_CONCURRENT_HASHES)


def hash_password(password: str) -> str:
    """Return the hash to store.

    Raises:
        InvalidInputError: when the password is too short or too long.
    """
    from argon2 import PasswordHasher

    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidInputError(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    with _hash_slot():
        return PasswordHasher().hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Say whether the password belongs to the hash; as slow for None as for a wrong one."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    with _hash_slot():
        try:
            return PasswordHasher().verify(password_hash or UNKNOWN_USER_HASH, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def random_password() -> str:
    """Return a random password of 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


@contextmanager
def _hash_slot() -> Iterator[None]:
    if not _hash_slots.acquire(timeout=HASH_SLOT_TIMEOUT):
        raise BusyError("Many people are signing in just now.", "Please try again in a moment.", WriteOutcome.NOT_DONE)
    try:
        yield
    finally:
        _hash_slots.release()
