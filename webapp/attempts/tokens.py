"""An attempt travels in its token: signed, expiring, good without a look at the database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache

import uuid6
from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer

from webapp.errors import NotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
KEPT = 20_000
"""Tokens whose reading is kept: players at the same time."""


@dataclass(frozen=True)
class Claim:
    """What a token says: who plays which version since when, and the seed of the choices' order."""

    attempt_id: uuid.UUID
    version_id: int
    player_id: uuid.UUID
    player_name: str
    started_at: datetime
    seed: int


def begin(version_id: int, player_id: uuid.UUID, player_name: str, started_at: datetime) -> Claim:
    """Make a new attempt; `started_at` is the database's time. Nothing is stored yet."""
    attempt_id = uuid6.uuid7()
    # The last bits of a UUIDv7 are random; they order the choices as well.
    return Claim(
        uuid.UUID(bytes=attempt_id.bytes), version_id, player_id, player_name, started_at, attempt_id.int % 2**32
    )


def issue(claim: Claim, key: str) -> str:
    """Return the token of an attempt, signed with `key`."""
    started = (claim.started_at - EPOCH) // MICROSECOND
    said = [claim.attempt_id.hex, claim.version_id, claim.player_id.hex, claim.player_name, started, claim.seed]
    return _text(_attempts(key).dumps(said))


def read(token: str, key: str, good_for: int) -> Claim:
    """Return what the token says; `good_for` in seconds.

    Raises:
        NotFoundError: when it is not ours, was changed, or is too old.
    """
    claim, issued_at = _read(token, key)
    if datetime.now(UTC) - issued_at > timedelta(seconds=good_for):
        raise NotFoundError("This attempt's address has expired.")
    return claim


@lru_cache(maxsize=KEPT)
def _read(token: str, key: str) -> tuple[Claim, datetime]:
    # An attempt comes with every answer of its player; a signature that was good stays good.
    try:
        said, issued_at = _attempts(key).loads(token, return_timestamp=True)
        attempt, version_id, player, name, started, seed = said
        claim = Claim(uuid.UUID(attempt), version_id, uuid.UUID(player), name, EPOCH + started * MICROSECOND, seed)
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFoundError("This is not the address of an attempt; start the quiz again.") from error
    return claim, issued_at


def new_player() -> uuid.UUID:
    """Return the identity of somebody who plays for the first time."""
    return uuid.uuid4()


def issue_player(player_id: uuid.UUID, key: str) -> str:
    """Return the token by which a player is known again."""
    return _text(_players(key).dumps(player_id.hex))


def read_player(token: str | None, key: str) -> uuid.UUID | None:
    """Return the player whom a token names, or None when it names nobody."""
    try:
        return uuid.UUID(_players(key).loads(token)) if token else None
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None


@cache
def _attempts(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="poolproof attempt")


@cache
def _players(key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt="poolproof player")


def _text(token: str | bytes) -> str:
    return token if isinstance(token, str) else token.decode()
