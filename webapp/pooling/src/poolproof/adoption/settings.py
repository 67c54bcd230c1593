"""The settings of adopted engines. What a pool or a session already has, the application's own options decide."""

from __future__ import annotations

from dataclasses import dataclass

from poolproof.core.codel import CoDel
from poolproof.settings import PoolSettings

MAX_CODEL_TARGET = 1.0
CODEL_TARGET_FRACTION = 0.4


@dataclass(frozen=True, kw_only=True)
class AdoptSettings:
    """Settings of adopted engines. All times are in seconds.

    `pool_size`, `max_overflow`, `pool_timeout`, `pool_recycle` and `pool_pre_ping` stay those of the engine, and so do
    isolation level, autocommit, SQL mode, time zone and the driver's time-outs.

    Raises:
        PoolConfigurationError: when values are out of range or contradict each other; all of them are named.
    """

    request_deadline: float = 20.0
    """For a whole request: no wait for a connection lasts beyond it."""
    max_waiting: int | None = None
    """How many threads may wait at once; the next is refused at once. Default: any number."""
    codel_target: float | None = None
    """When even the shortest wait stays above this for `codel_interval`, waits of more than twice as long are refused.
    0: never. Default: four tenths of the engine's `pool_timeout`, and at most 1 s."""
    codel_interval: float = 1.0
    ping_idle_after: float = 0.5
    """A connection that was idle for longer is pinged before it is lent, unless the engine has `pool_pre_ping`."""
    max_idle: float = 300.0
    """An idle connection that was not used for so long is closed, except `min_idle`."""
    min_idle: int = 1
    leak_threshold: float = 2.0
    """A connection that is held idle, or runs one statement, for longer is reported in the log."""
    max_connections_per_request: int = 1
    """Connections of one engine that one request may hold at once without a report."""
    metrics: bool = True
    """Count and time what the pools do."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        self.to_pool_settings()

    def to_pool_settings(self) -> PoolSettings:
        """Return those of these settings that a pool of its own has as well, under their names."""
        return PoolSettings(
            request_deadline=self.request_deadline,
            timeout=min(PoolSettings.timeout, self.request_deadline),
            max_waiting=self.max_waiting,
            codel_target=self.codel_target or 0.0,
            codel_interval=self.codel_interval,
            ping_idle_after=self.ping_idle_after,
            max_idle=self.max_idle,
            min_idle=self.min_idle,
            leak_threshold=self.leak_threshold,
            max_connections_per_request=self.max_connections_per_request,
            metrics=self.metrics,
            blocking_guard="count",
        )

    def shedding(self, pool_timeout: float | None) -> CoDel | None:
        """Return what rejects waiters early in a pool with this time-out; None: nothing does."""
        target = self.codel_target
        if target is None:
            bounds = [seconds for seconds in (pool_timeout, self.request_deadline) if seconds is not None]
            target = min(MAX_CODEL_TARGET, CODEL_TARGET_FRACTION * min(bounds))
        return CoDel(target, self.codel_interval) if target else None
