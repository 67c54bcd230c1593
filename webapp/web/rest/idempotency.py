"""POSTs that may be repeated: requests with the same Idempotency-Key create one resource.

Source: J. Jena and S. Dalal, The Idempotency-Key HTTP Header Field, draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar

from flask import g, request
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from poolproof.integrations.flask_ext import get_pooling, run_in_transaction
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.timestamps import seconds_ago, utc_now
from webapp.errors import InvalidInputError, KeyReusedError
from webapp.messages import message
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


_DIGEST = "idempotency_key_digest"

Created = TypeVar("Created")


def create_once(
    user_id: int,
    create: Callable[[Connection], Created],
    load: Callable[[Connection, int], Created],
    *,
    id_of: Callable[[Created], int] = attrgetter("id"),
    work: UnitOfWork | None = None,
    is_upload: bool = False,
) -> Created:
    """Create a resource in a transaction; a repeat under the same key returns the resource as it is now.

    The key is stored in the same transaction, so that both are stored or neither, and so that the transaction may be
    repeated when its connection is lost. Of two concurrent requests the second waits for the first. Without a key
    each request creates a resource.

    Args:
        user_id: The user who sends the request.
        create: Creates the resource.
        load: Returns the resource with this id.
        id_of: Returns the id of a resource.
        work: Has the transaction, by default the one of requests.
        is_upload: Whether the body is a file, which is too large to be compared: its length stands for it.

    Raises:
        InvalidInputError: when the key is not well-formed.
        KeyReusedError: when another request was sent with this key.
    """
    work = work or get_pooling().work
    key = _read_key()
    if key is None:
        return work.run_in_transaction(create)
    digest = sha256(f"{user_id} {request.endpoint} {key}".encode()).digest()
    setattr(g, _DIGEST, digest)
    body_digest = _digest_request(is_upload=is_upload)

    def create_or_load(connection: Connection) -> Created:
        try:
            connection.execute(insert(IdempotencyKey).values(digest=digest, body=body_digest, used_at=utc_now()))
        except IntegrityError:
            return load(connection, _find_created_id(connection, digest, body_digest))
        created = create(connection)
        connection.execute(update(IdempotencyKey).where(IdempotencyKey.digest == digest).values(made=id_of(created)))
        _purge_expired(connection)
        return created

    return work.run_in_transaction(create_or_load, idempotent=True)


def forget_key() -> None:
    """Free the present request's key, where what was created with it has been removed again."""
    digest = g.pop(_DIGEST, None)
    if digest is not None:
        run_in_transaction(
            lambda connection: connection.execute(delete(IdempotencyKey).where(IdempotencyKey.digest == digest)),
            idempotent=True,
        )


def is_keyed() -> bool:
    """Say whether the present request is repeated safely with its key."""
    return _DIGEST in g


def _digest_request(*, is_upload: bool) -> bytes:
    """Return a digest of what makes a request the same: its address and its body."""
    body = str(request.content_length).encode() if is_upload else request.get_data()
    return sha256(request.full_path.encode("utf-8", "surrogateescape") + b"\n" + body).digest()


def _read_key() -> str | None:
    value = request.headers.get(HEADER)
    if value is None:
        return None
    match = _KEY_PATTERN.fullmatch(value.strip())
    if match is None:
        raise InvalidInputError(
            message(
                "%(key)s has to be 1 to %(most)s visible ASCII characters without quotes or backslashes, for instance "
                "a UUID; send another one.",
                key=HEADER,
                most=MAX_KEY_LENGTH,
            )
        )
    return match[1] or match[2]


def _find_created_id(connection: Connection, digest: bytes, body_digest: bytes) -> int:
    # A locking read sees what was committed while the insert waited.
    row = connection.execute(
        select(IdempotencyKey.body, IdempotencyKey.made).where(IdempotencyKey.digest == digest).with_for_update()
    ).one()
    if row.body != body_digest:
        raise KeyReusedError(
            message("This %(key)s has come with another request; make a new key for each new request.", key=HEADER)
        )
    created_id: int = row.made
    return created_id


def _purge_expired(connection: Connection) -> None:
    is_expired = IdempotencyKey.used_at < seconds_ago(RETENTION)
    oldest = select(IdempotencyKey.digest).where(is_expired).order_by(IdempotencyKey.used_at).limit(PURGE_BATCH_SIZE)
    if digests := connection.execute(oldest).scalars().all():
        connection.execute(delete(IdempotencyKey).where(IdempotencyKey.digest.in_(digests)))
