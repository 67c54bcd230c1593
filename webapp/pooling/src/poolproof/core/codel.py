"""When to reject waiters early: CoDel. Pure.

In a queue that is always long every waiter is served late, many after their client has given up. CoDel (Nichols and
Jacobson, ACM Queue 10(5), 2012; RFC 8289) looks at how long waiters have waited when their turn comes. When that stays
above the target for a whole interval, the pool is overloaded, and waiters are rejected so that later ones are still
served in time, until one was served within the target. A burst that is served within an interval causes no rejection.
The last waiter of a queue is never rejected: without it the connection would lie idle.

Which waiters are rejected is that of Elixir's db_connection: those that have waited more than twice the target. CoDel
drops single packets at a growing rate, because a sender slows down for each; clients that come anew do not.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET = 0.05
INTERVAL = 1.0


@dataclass(slots=True)
class CoDel:
    """The state of one queue; all times are monotonic seconds, given by the caller."""

    target: float = TARGET
    """The wait that may last."""
    interval: float = INTERVAL
    """How long waits must stay above the target before a waiter is rejected."""
    is_overloaded: bool = False
    above_target_since: float | None = None
    """When a wait was above the target for the first time after one that was not."""
    last_served_at: float = 0.0

    def fresh_copy(self) -> CoDel:
        """Return one with the same parameters, in its initial state."""
        return CoDel(self.target, self.interval)

    def on_first_waiter(self, now: float) -> None:
        """Record that a first waiter enters the empty queue, or that a suspended pool lends again."""
        self.last_served_at = now

    def should_shed(self, waited: float, now: float) -> bool:
        """Record that a waiter's turn has come after `waited` seconds; say whether it is to be rejected instead.

        The caller serves the last waiter in the queue in any case.
        """
        self.last_served_at = now
        if waited <= self.target:
            self.on_idle()
        elif self.above_target_since is None:
            self.above_target_since = now
        elif now - self.above_target_since >= self.interval:
            self.is_overloaded = True
        return self.exceeds_limit(waited)

    def on_idle(self) -> None:
        """Record that a connection came back and none waited for it: the pool is not overloaded."""
        self.is_overloaded = False
        self.above_target_since = None

    def on_stall(self, oldest_wait: float, now: float) -> bool:
        """Say whether no waiter's turn has come for a whole interval; then the pool is overloaded."""
        if now - self.last_served_at < self.interval or oldest_wait <= self.target:
            return False
        self.is_overloaded = True
        if self.above_target_since is None:
            self.above_target_since = now
        return True

    def exceeds_limit(self, waited: float) -> bool:
        """Say whether a waiter that has waited for `waited` seconds is rejected now."""
        return self.is_overloaded and waited > 2 * self.target
