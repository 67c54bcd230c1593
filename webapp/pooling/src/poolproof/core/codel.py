"""When to reject waiters early: CoDel. Pure.

In a queue that is always long every waiter is served late, many after their client has given up. CoDel (Nichols and
Jacobson, ACM Queue 10(5), 2012; the variant is that of Elixir's db_connection) looks at the *shortest* wait of each
interval. If even that was above the target, the pool is overloaded, and a waiter that has waited more than twice the
target is rejected, so that later ones are still served in time. A burst that is served within an interval causes no
rejection.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET = 0.05
INTERVAL = 1.0


@dataclass(slots=True)
class CoDel:
    """The state of one queue; all times are monotonic seconds, given by the caller."""

    target: float = TARGET
    """The shortest wait that may last."""
    interval: float = INTERVAL
    """How long even the shortest wait must stay above the target before a waiter is rejected."""
    is_overloaded: bool = False
    min_wait: float = 0.0
    """The shortest wait of this interval so far."""
    interval_ends_at: float = 0.0
    last_served_at: float = 0.0

    def fresh_copy(self) -> CoDel:
        """Return one with the same parameters, in its initial state."""
        return CoDel(self.target, self.interval)

    def on_first_waiter(self, now: float) -> None:
        """Record that a first waiter enters the empty queue."""
        self.last_served_at = now

    def should_shed(self, waited: float, now: float) -> bool:
        """Record that a waiter's turn has come after `waited` seconds; say whether it is rejected instead."""
        self.last_served_at = now
        if now >= self.interval_ends_at:
            self._next_interval(now, waited)
        elif waited < self.min_wait:
            self.min_wait = waited
        return self.exceeds_limit(waited)

    def on_idle(self) -> None:
        """Record that a connection came back and none waited for it: the pool is not overloaded."""
        self.is_overloaded = False
        self.min_wait = 0.0

    def on_stall(self, oldest_wait: float, now: float) -> bool:
        """Say whether no waiter's turn has come for a whole interval; then the pool is overloaded."""
        if now - self.last_served_at < self.interval or oldest_wait <= self.target:
            return False
        self.is_overloaded = True
        self.min_wait = oldest_wait
        self.interval_ends_at = now + self.interval
        return True

    def exceeds_limit(self, waited: float) -> bool:
        """Say whether a waiter that has waited for `waited` seconds is rejected now."""
        return self.is_overloaded and waited > 2 * self.target

    def _next_interval(self, now: float, waited: float) -> None:
        self.is_overloaded = self.min_wait > self.target
        self.min_wait = waited
        self.interval_ends_at = now + self.interval
