"""POSTs that may be sent again: the same Idempotency-Key makes one thing, however often it comes.

Source: J. Jena and S. Dalal, The Idempotency-Key HTTP Header Field, draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol, TypeVar

from flask import request
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from poolproof.integrations.flask_ext import run_in_transaction
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import InvalidInputError, KeyReusedError
from webapp.web.rest.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 128
RETENTION = 24 * 3600
"""Seconds."""
PURGE_BATCH_SIZE = 100
# A string of structured fields (RFC 8941), which has quotes; clients often leave them out.
_KEY_CHARACTERS = r"\x21\x23-\x5b\x5d-\x7e"
_KEY_PATTERN = re.compile(
    rf'"([\x20{_KEY_CHARACTERS}]{{1,{MAX_KEY_LENGTH}}})"|([{_KEY_CHARACTERS}]{{1,{MAX_KEY_LENGTH}}})'
)


class HasId(Protocol):
    """A thing with an id."""

    @property
    def id(self) -> int:
        """The row's."""
        ...


Created = TypeVar("Created", bound=HasId)


def create_once(
    user_id: int, create: Callable[[Connection], Created], load: Callable[[Connection, int], Created]
) -> Created:
    """Make a thing in a transaction; a repeat under the same key gets what was made, as it is now.

    The key is kept in the same transaction, so that both are there or neither, and so that the transaction may be
    repeated by ourselves when its connection is lost. Of two that come at once the second waits for the first. Without
    a key each request makes a thing.

    Args:
        asker: Id of the user who asks.
        make: Makes the thing.
        find: Returns what was made, by its id.

    Raises:
        InvalidInputError: when the key is no key.
        KeyReusedError: when another request has come with this key.
    """
    key = _read_key()
    if key is None:
        return run_in_transaction(create)
    digest = sha256(f"{user_id} {request.endpoint} {key}".encode()).digest()
    body = sha256(request.get_data()).digest()

    def once(connection: Connection) -> Created:
        try:
            connection.execute(insert(IdempotencyKey).values(digest=digest, body=body, used_at=utc_now()))
        except IntegrityError:
            return load(connection, _find_created_id(connection, digest, body))
        made = create(connection)
        connection.execute(update(IdempotencyKey).where(IdempotencyKey.digest == digest).values(made=made.id))
        _purge_expired(connection)
        return made

    return run_in_transaction(once, idempotent=True)


def _read_key() -> str | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    found = _KEY_PATTERN.fullmatch(given.strip())
    if found is None:
        raise InvalidInputError(
            f"{HEADER} has to be 1 to {MAX_KEY_LENGTH} visible ASCII characters without quotes or backslashes, "
            "for instance a UUID; send another one.",
        )
    return found[1] or found[2]


def _find_created_id(connection: Connection, digest: bytes, body_digest: bytes) -> int:
    # A locking read sees what was committed while the insert waited.
    found = connection.execute(
        select(IdempotencyKey.body, IdempotencyKey.made).where(IdempotencyKey.digest == digest).with_for_update()
    ).one()
    if found.body != body_digest:
        raise KeyReusedError(f"This {HEADER} has come with another request; make a new key for each new request.")
    made: int = found.made
    return made


def _purge_expired(connection: Connection) -> None:
    is_old = IdempotencyKey.used_at < seconds_ago(RETENTION)
    old = select(IdempotencyKey.digest).where(is_old).order_by(IdempotencyKey.used_at).limit(PURGE_BATCH_SIZE)
    if digests := connection.execute(old).scalars().all():
        connection.execute(delete(IdempotencyKey).where(IdempotencyKey.digest.in_(digests)))
