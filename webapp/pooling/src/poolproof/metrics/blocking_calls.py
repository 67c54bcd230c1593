"""What requests do while they hold a connection and need none: counted by activity."""

from __future__ import annotations

from poolproof.leaks import blocking_guard
from poolproof.metrics import counters

BLOCKING_CALLS = counters.declare(
    "poolproof_blocking_calls", "Sleeps, renderings and calls of requests that held a connection.", ("activity",)
)


def install_guard() -> None:
    """Guard this process against sleeping and calling out with a connection; a second call does nothing."""
    blocking_guard.install(count)


def count(activity: str) -> None:
    """Count an activity, e.g. "rendering home.html", by its first word."""
    BLOCKING_CALLS.increment(activity.partition(" ")[0])
