"""How often something may happen: a token bucket. Pure; its owner holds a lock around `take`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Holds up to `burst` tokens and gets `rate` of them a second; times are monotonic seconds, given by the caller."""

    rate: float
    burst: float
    tokens: float
    updated_at: float

    def take(self, now: float) -> float:
        """Take a token and return 0.0; without one, return after how many seconds there will be one."""
        self.tokens = min(self.burst, self.tokens + (now - self.updated_at) * self.rate)
        self.updated_at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate

    def is_full(self, now: float) -> bool:
        """Say whether the bucket has not been used for as long as it takes to fill it."""
        return now - self.updated_at >= self.burst / self.rate
