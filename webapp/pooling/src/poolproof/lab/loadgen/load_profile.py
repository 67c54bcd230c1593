"""How a service or a pool is loaded, when operations begin, and how long each took. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

MAX_CLIENT_CPU = 0.85
"""Above this share of a processor the load itself is the bottleneck."""


@dataclass(frozen=True)
class LoadProfile:
    """A closed loop, or an open one in which operations begin at a rate, however late they end; times in seconds."""

    warm_up: float
    seconds: float
    rate: float | None = None
    """Operations a second of an open loop; None: a closed loop."""
    seed: int = 1

    @property
    def is_open(self) -> bool:
        """Whether operations begin at a rate of their own."""
        return self.rate is not None


@dataclass(frozen=True)
class TimedOperation:
    """One operation; all but `intended_start` (a moment on the monotonic clock) are seconds.

    `seconds` run from the intended start to the end; `wait` is for a connection, `hold` with one, `think` before it.
    """

    intended_start: float
    seconds: float
    wait: float = 0.0
    hold: float = 0.0
    think: float = 0.0
    succeeded: bool = True

    @property
    def end(self) -> float:
        """The moment at which it ended, on the monotonic clock."""
        return self.intended_start + self.seconds


def poisson_arrivals(rng: random.Random, rate: float, seconds: float, starts_at: float = 0.0) -> list[float]:
    """Return the moments at which operations begin: independent of each other (a Poisson process), `rate` a second."""
    moments = []
    moment = starts_at + rng.expovariate(rate)
    while moment < starts_at + seconds:
        moments.append(moment)
        moment += rng.expovariate(rate)
    return moments
