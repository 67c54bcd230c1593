"""How old a connection may grow, and when it is worth a ping. Pure arithmetic."""

from __future__ import annotations

from webapp.pooling.errors import PoolConfigurationError

SHARE_OF_WAIT_TIMEOUT = 0.8
PING_WITHIN = 0.5
"""Seconds a server has to answer a ping; one that is slower will not do better with a statement."""


def recycle_after(configured: int | None, wait_timeout: int) -> int:
    """Return the age in seconds at which connections are renewed.

    The server closes a connection that was idle for `wait_timeout` seconds; ours are
    renewed at 80 % of that at the latest, so that no request meets the cut.

    Raises:
        PoolConfigurationError: when the configured age is not below `wait_timeout`.
    """
    limit = max(1, int(wait_timeout * SHARE_OF_WAIT_TIMEOUT))
    if configured is None:
        return limit
    if configured >= wait_timeout:
        raise PoolConfigurationError(
            f"POOL_RECYCLE is {configured} s, but the server closes idle connections after "
            f"wait_timeout = {wait_timeout} s: requests would meet closed connections. "
            f"Set POOL_RECYCLE to {limit} or less, leave it unset, or raise wait_timeout on the server."
        )
    return min(configured, limit)


def is_worth_a_ping(idle: float | None, window: float) -> bool:
    """Say whether a connection should be asked before it is used; `idle` in seconds, None for a new one.

    A ping is a round trip. One that was used a moment ago is alive; only while it lies idle can
    the server, or something in between, have dropped it.
    """
    return idle is not None and idle >= window
