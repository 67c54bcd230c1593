"""Tokens of attempts and players: signed, so that they are verified without the database; those of attempts expire."""

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
MAX_CACHED = 20_000
"""Decoded tokens that are kept: players at the same time."""


@dataclass(frozen=True)
class AttemptClaim:
    """The content of an attempt's token: the player, the version, the start, and the seed of the order of choices."""

    attempt_id: uuid.UUID
    version_id: int
    player_id: uuid.UUID
    player_name: str
    started_at: datetime
    seed: int


def new_claim(version_id: int, player_id: uuid.UUID, player_name: str, started_at: datetime) -> AttemptClaim:
    """Make a new attempt; `started_at` is the database's time. Nothing is stored yet."""
    attempt_id = uuid6.uuid7()
    # The last bits of a UUIDv7 are random, so they serve as the seed.
    return AttemptClaim(
        uuid.UUID(bytes=attempt_id.bytes), version_id, player_id, player_name, started_at, attempt_id.int % 2**32
    )


def issue(claim: AttemptClaim, key: str) -> str:
    """Return the token of an attempt, signed with `key`."""
    started = (claim.started_at - EPOCH) // MICROSECOND
    content = [claim.attempt_id.hex, claim.version_id, claim.player_id.hex, claim.player_name, started, claim.seed]
    return _to_str(_attempt_serializer(key).dumps(content))


def verify(token: str, key: str, ttl: int) -> AttemptClaim:
    """Return the claim in a token that is at most `ttl` seconds old.

    Raises:
        NotFoundError: when the token is not ours, was changed, or is too old.
    """
    claim, issued_at = _decode(token, key)
    if datetime.now(UTC) - issued_at > timedelta(seconds=ttl):
        raise NotFoundError("This attempt's address has expired.")
    return claim


@lru_cache(maxsize=MAX_CACHED)
def _decode(token: str, key: str) -> tuple[AttemptClaim, datetime]:
    # Every answer of a player has the same token; a signature that was valid once stays valid.
    try:
        content, issued_at = _attempt_serializer(key).loads(token, return_timestamp=True)
        attempt, version_id, player, name, started, seed = content
        claim = AttemptClaim(
            uuid.UUID(attempt), version_id, uuid.UUID(player), name, EPOCH + started * MICROSECOND, seed
        )
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFoundError("This is not the address of an attempt; start the quiz again.") from error
    return claim, issued_at


def new_player_id() -> uuid.UUID:
    """Return the id of a new player."""
    return uuid.uuid4()


def issue_player_token(player_id: uuid.UUID, key: str) -> str:
    """Return the token that identifies a player in later attempts."""
    return _to_str(_player_serializer(key).dumps(player_id.hex))


def verify_player_token(token: str | None, key: str) -> uuid.UUID | None:
    """Return the player in a token; None when the token is missing or not valid."""
    try:
        return uuid.UUID(_player_serializer(key).loads(token)) if token else None
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None


@cache
def _attempt_serializer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="poolproof attempt")


@cache
def _player_serializer(key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt="poolproof player")


def _to_str(token: str | bytes) -> str:
    return token if isinstance(token, str) else token.decode()
