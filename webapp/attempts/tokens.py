"""Tokens of attempts and players: signed, so that they are verified without the database.

A token of an attempt does not expire: whether it is good for answers is judged by the rules of its quiz.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer

from webapp.errors import NotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_STARTED = 10
"""Versions that a player's token remembers."""
MAX_CACHED = 20_000
"""Decoded tokens that are kept: players at the same time."""


@dataclass(frozen=True)
class AttemptClaim:
    """The content of an attempt's token: the player, the version, the start, the seed, and the number."""

    attempt_id: uuid.UUID
    version_id: int
    player_id: uuid.UUID
    player_name: str
    started_at: datetime
    seed: int
    """Decides the order of choices and questions, and which ones are drawn."""
    number: int = 1
    """Which of the player's attempts at the version it is."""


@dataclass(frozen=True)
class PlayerClaim:
    """The content of a player's token: the player, and the versions that were started last."""

    player_id: uuid.UUID
    started: tuple[int, ...] = ()
    started_at: Mapping[int, datetime] = field(default_factory=dict)
    """When the last attempt at a version was started, for those that have a time limit."""


def new_claim(
    version_id: int, player_id: uuid.UUID, player_name: str, started_at: datetime, number: int = 1
) -> AttemptClaim:
    """Make a player's attempt at a version; `started_at` is the database's time. Nothing is stored yet.

    It is the same attempt at every start of this player with this number: whichever token is used, one row is written.
    """
    attempt_id = derive_attempt_id(version_id, player_id, number)
    return AttemptClaim(attempt_id, version_id, player_id, player_name, started_at, seed_of(attempt_id), number)


def seed_of(attempt_id: uuid.UUID) -> int:
    """Return the seed of an attempt: the last bits of its id, which come from a digest."""
    return attempt_id.int % 2**32


def derive_attempt_id(version_id: int, player_id: uuid.UUID, number: int = 1) -> uuid.UUID:
    """Return the id of a player's attempt at a version, a UUIDv8.

    It begins with the version, so that the rows of a quiz that is being played lie together in the table.
    """
    # The first attempt has the id that it had when there was one only.
    suffix = b"" if number == 1 else number.to_bytes(2)
    digest = hashlib.blake2b(version_id.to_bytes(8) + player_id.bytes + suffix, digest_size=10).digest()
    value = (version_id % 2**48 << 80) | int.from_bytes(digest)
    # The bits of RFC 9562 that say which kind of UUID it is.
    return uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)


def issue(claim: AttemptClaim, key: str) -> str:
    """Return the token of an attempt, signed with `key`."""
    started = (claim.started_at - EPOCH) // MICROSECOND
    content = [claim.attempt_id.hex, claim.version_id, claim.player_id.hex, claim.player_name, started, claim.seed]
    if claim.number > 1:
        content.append(claim.number)
    return _to_str(_attempt_serializer(key).dumps(content))


@lru_cache(maxsize=MAX_CACHED)
def verify(token: str, key: str) -> AttemptClaim:
    """Return the claim in a token. Every answer of a player has the same one, so claims are kept.

    Raises:
        NotFoundError: when the token is not ours or was changed.
    """
    try:
        attempt, version_id, player, name, started, seed, *number = _attempt_serializer(key).loads(token)
        started_at = EPOCH + started * MICROSECOND
        return AttemptClaim(uuid.UUID(attempt), version_id, uuid.UUID(player), name, started_at, seed, *number)
    except (BadSignature, ValueError, TypeError) as error:
        raise NotFoundError("This is not the address of an attempt; start the quiz again.") from error


def new_player_id() -> uuid.UUID:
    """Return the id of a new player."""
    return uuid.uuid4()


def issue_player_token(player: PlayerClaim, key: str) -> str:
    """Return the token that identifies a player in later attempts."""
    started = player.started[-MAX_STARTED:]
    content: list[Any] = [player.player_id.hex, started]
    if starts := [
        [version, int(moment.timestamp())] for version, moment in player.started_at.items() if version in started
    ]:
        content.append(starts)
    return _to_str(_player_serializer(key).dumps(content))


def verify_player_token(token: str | None, key: str) -> PlayerClaim | None:
    """Return the player in a token; None when the token is missing or not valid."""
    if not token:
        return None
    try:
        content = _player_serializer(key).loads(token)
        # The former form had no versions.
        player_id, started, *starts = (content, ()) if isinstance(content, str) else content
        started_at = {version: EPOCH + timedelta(seconds=moment) for version, moment in (starts[0] if starts else ())}
        return PlayerClaim(uuid.UUID(player_id), tuple(started), started_at)
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
