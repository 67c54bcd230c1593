"""How old a connection may grow, when it is worth a ping, and when it is no longer needed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from poolproof.errors import PoolConfigurationError

WAIT_TIMEOUT_FRACTION = 0.8
PING_TIMEOUT = 0.5
"""Seconds a server has to answer a ping; one that is slower will not do better with a statement."""
WINDOW_DOUBLING_INTERVAL = 60.0
"""Seconds without a cut-off after which the window doubles again."""


def recycle_after(configured: int | None, wait_timeout: int) -> int:
    """Return the age in seconds at which connections are renewed.

    The server closes a connection that was idle for `wait_timeout` seconds; ours are
    renewed at 80 % of that at the latest, so that no request meets the cut.

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
    """How long a connection may lie idle and still be used unasked; it learns.

    A ping is a round trip. A connection that was used a moment ago is alive; only while it lies
    idle can the server, or something in between, have dropped it. `longest` is what the operator
    allows, and never more than half of the server's wait_timeout. Where a connection is found
    cut off that was trusted unasked, the window shrinks to half of the time it had been idle, and
    doubles again with every minute that passes without another. All times are seconds,
    moments monotonic.
    """

    max_seconds: float
    shrunk_to: float = 0.0
    shrunk_at: float | None = None

    def learn_wait_timeout(self, wait_timeout: float) -> None:
        """Stay well below the idle time after which the server itself hangs up."""
        self.max_seconds = min(self.max_seconds, wait_timeout / 2)

    def record_cutoff(self, idle: float, now: float) -> None:
        """Note that a connection was dead which had been trusted after so long an idle time."""
        if idle <= self.seconds(now):
            self.shrunk_to, self.shrunk_at = idle / 2, now

    def seconds(self, now: float) -> float:
        """Return the window at this moment."""
        if self.shrunk_at is None:
            return self.max_seconds
        doublings = min(int((now - self.shrunk_at) / WINDOW_DOUBLING_INTERVAL), 40)
        # From a millisecond on: what shrank to nothing could not be doubled.
        grown = self.shrunk_to if not doublings else max(self.shrunk_to, 0.001) * 2.0**doublings
        return min(self.max_seconds, grown)

    def needs_ping(self, idle: float | None, now: float) -> bool:
        """Say whether a connection should be asked before it is used; `idle` is None for a new one."""
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
    """Say what is due for a connection that lies idle.

    `unused` is the time since somebody used it, `unseen` since it was last known to be alive, in
    seconds; `is_spare` when more lie idle than are kept in any case. Idle connections are
    lent last in, first out: one that nobody used for `retire_after` was not needed for so long.
    """
    if is_expired:
        return MaintenanceAction.RECYCLE
    if exceeds_min_idle and unused_for >= max_idle:
        return MaintenanceAction.RETIRE
    return MaintenanceAction.PING if unverified_for >= keepalive_interval else None
