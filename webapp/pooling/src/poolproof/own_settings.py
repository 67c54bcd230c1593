"""What an application of its own may leave to its server in the sessions that the pool owns.

They are no settings of `PoolSettings`, which the service reads from its environment: its answers are stored in UTC, and
a text that is too long is an error there.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolproof.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class OwnSettings(PoolSettings):
    """`PoolSettings`, and what is set in every new session; used in its place, for `engine_options` and all others.

    The isolation level is `create_engine`'s: `isolation_level="REPEATABLE READ"` is another one, "AUTOCOMMIT" does
    without BEGIN. The time-outs are those of `PoolSettings`.
    """

    utc: bool = True
    """MySQL, MariaDB, PostgreSQL: the session's time zone is UTC; otherwise it is the server's."""
    strict: bool = True
    """MySQL, MariaDB: a value that does not fit is an error, and names are quoted in MySQL's own way; otherwise the
    server's SQL mode applies."""


def is_utc(settings: PoolSettings) -> bool:
    """Say whether sessions are in UTC."""
    return not isinstance(settings, OwnSettings) or settings.utc


def is_strict(settings: PoolSettings) -> bool:
    """Say whether sessions are strict."""
    return not isinstance(settings, OwnSettings) or settings.strict
