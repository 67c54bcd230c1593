"""How old a connection may become, when it needs a ping, and when it is no longer needed. Pure functions of time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from poolproof.errors import PoolConfigurationError

WAIT_TIMEOUT_FRACTION = 0.8
MAX_AGE_WITHOUT_LIMIT = 3600
"""Seconds after which a connection is renewed where the server closes none: what its session caches only grows."""
PING_TIMEOUT = 0.5
"""Seconds that a server has to answer a ping; a slower one would not answer a statement in time either."""
WINDOW_DOUBLING_INTERVAL = 60.0
"""Seconds without a cut-off after which the window doubles again."""


def recycle_after(configured: int | None, wait_timeout: int) -> int:
    """Return the age in seconds at which connections are renewed.

    The server closes a connection that was idle for `wait_timeout` seconds; those of a pool are
    renewed at 80 % of that at the latest, so that no request gets a closed one.

    Raises:
        PoolConfigurationError: when the configured age is not below `wait_timeout`.
    """
    limit = max(1, int(wait_timeout * WAIT_TIMEOUT_FRACTION))
    if configured is None:
        return limit
    if configured >= wait_timeout:
        raise PoolConfigurationError(
            f"POOL_RECYCLE is {configured} s, but the server closes idle connections after "
            f"wait_timeout = {wait_timeout} s: requests would meet closed connections. "
            f"Set POOL_RECYCLE to {limit} or less, leave it unset, or raise wait_timeout on the server."
        )
    return min(configured, limit)


@dataclass(slots=True)
class PingWindow:
    """How long a connection may be idle and still be used without a ping; it adapts.

    A ping is a round trip. A connection that was used a moment ago is alive; only while it is idle can the server, or
    something in between, have dropped it. `max_seconds` is what the operator allows, and never more than half of the
    server's wait_timeout. When a connection that was not pinged turns out to be cut off, the window shrinks to half of
    the time it had been idle, and doubles again with every minute that passes without another. All times are in
    seconds, on the monotonic clock.
    """

    max_seconds: float
    shrunk_to: float = 0.0
    shrunk_at: float | None = None

    def learn_wait_timeout(self, wait_timeout: float) -> None:
        """Stay well below the idle time after which the server closes a connection."""
        self.max_seconds = min(self.max_seconds, wait_timeout / 2)

    def record_cutoff(self, idle: float, now: float) -> None:
        """Record that a connection was dead which had been used without a ping after `idle` seconds."""
        if idle <= self.seconds(now):
            self.shrunk_to, self.shrunk_at = idle / 2, now

    def seconds(self, now: float) -> float:
        """Return the window at the time `now`."""
        if self.shrunk_at is None:
            return self.max_seconds
        doublings = min(int((now - self.shrunk_at) / WINDOW_DOUBLING_INTERVAL), 40)
        # At least a millisecond: zero cannot be doubled.
        grown = self.shrunk_to if not doublings else max(self.shrunk_to, 0.001) * 2.0**doublings
        return min(self.max_seconds, grown)

    def needs_ping(self, idle: float | None, now: float) -> bool:
        """Say whether a connection has to be pinged before it is used; `idle` is None for a new one."""
        return idle is not None and idle >= self.seconds(now)


class MaintenanceAction(StrEnum):
    """What the housekeeper does with an idle connection."""

    RECYCLE = "age"
    RETIRE = "idle"
    PING = "ping"


def due_action(
    *,
    unused_for: float,
    unverified_for: float,
    is_expired: bool,
    exceeds_min_idle: bool,
    max_idle: float,
    keepalive_interval: float,
) -> MaintenanceAction | None:
    """Return what is due for an idle connection.

    `unused_for` is the time since it was last used, `unverified_for` since it was last known to be alive, in seconds;
    `exceeds_min_idle` is whether more are idle than are kept in any case. Idle connections are lent last in, first out,
    so one that was not used for `max_idle` seconds was not needed for that long.
    """
    if is_expired:
        return MaintenanceAction.RECYCLE
    if exceeds_min_idle and unused_for >= max_idle:
        return MaintenanceAction.RETIRE
    return MaintenanceAction.PING if unverified_for >= keepalive_interval else None
