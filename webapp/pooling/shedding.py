"""When to stop keeping people waiting: CoDel, as Ecto's DBConnection does it. Pure.

A queue that is always long helps nobody: everyone is served late, many after they have gone.
CoDel (Nichols and Jacobson, ACM Queue 10(5), 2012; the variant is that of Elixir's
db_connection) looks at the *shortest* wait of each interval. If even that was above the
target, the pool is slow, and whoever has waited more than twice the target is turned away at
once, so that those who came later are still served in time. A burst that is worked off
within an interval sheds nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET = 0.05
INTERVAL = 1.0


@dataclass(slots=True)
class CoDel:
    """The state of one queue; all times are monotonic seconds, given by the caller."""

    target: float = TARGET
    """The wait that is acceptable for long."""
    interval: float = INTERVAL
    """How long a wait must stay above the target before anybody is turned away."""
    slow: bool = False
    shortest: float | None = None
    """The shortest wait seen in this interval; None while nobody has been served."""
    interval_ends: float = 0.0

    def served(self, waited: float, now: float) -> bool:
        """Note that somebody left the queue after waiting; say whether he is to be turned away."""
        if now >= self.interval_ends:
            self._next_interval(now, waited)
        elif self.shortest is None or waited < self.shortest:
            self.shortest = waited
        return self.is_too_long(waited)

    def nobody_served(self, oldest_wait: float, now: float) -> None:
        """Note that an interval may have passed without anybody leaving the queue: the wait of all is the oldest's."""
        if now >= self.interval_ends:
            if self.shortest is None:
                self.shortest = oldest_wait
            self._next_interval(now, None)

    def is_too_long(self, waited: float) -> bool:
        """Say whether somebody who has waited so long is to be turned away now."""
        return self.slow and waited > 2 * self.target

    def idle(self) -> None:
        """Note that a connection was free without waiting: the pool is not slow."""
        self.slow = False
        self.shortest = 0.0

    def _next_interval(self, now: float, waited: float | None) -> None:
        self.slow = self.shortest is not None and self.shortest > self.target
        self.shortest = waited
        self.interval_ends = now + self.interval
