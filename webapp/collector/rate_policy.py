"""When the next call may begin, and what that leaves in the ledger. Pure: times in, times out.

A call is reserved before it is made, on the database's clock, and the reservation stays where its process dies.
Between the reservation and the call's arrival at the source passes some time, which differs from call to call,
so two calls could arrive closer together than they were reserved. Therefore a reservation is good for a moment
only (`good_for`), the next one comes that much later, and where calls are seconds apart anyway the source's rest
is also counted from the end of its reply, by which the call has certainly arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from webapp.collector.sources.base import SourceLimits

MIN_MARGIN = 0.1
"""Seconds between what the source asks for and what we keep, at least; a tenth of the spacing is more where that is."""
RESPONSE_SPACING_THRESHOLD = 0.25
"""Seconds of spacing from which on it is also counted from the reply."""
POLL_INTERVAL = 0.1
"""Seconds until somebody asks again who found all calls taken."""


@dataclass(frozen=True)
class QuotaState:
    """A source's row: calls since the day began (UTC), and when the next may begin."""

    day_began_at: datetime
    calls: int
    free_at: datetime


@dataclass(frozen=True)
class RetryAfter:
    """Not now; ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class DailyLimitReached:
    """Not today."""

    resets_at: datetime


def decide(
    state: QuotaState, limits: SourceLimits, now: datetime, in_flight: int
) -> QuotaState | RetryAfter | DailyLimitReached:
    """Return the ledger with one more call that may begin now, or why none may."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # A clock that was set back opens no second day's quota.
    is_new_day = midnight > state.day_began_at
    day, calls = (midnight, 0) if is_new_day else (state.day_began_at, state.calls)
    if limits.daily is not None and calls >= limits.daily:
        return DailyLimitReached(day + timedelta(days=1))
    if in_flight >= limits.concurrency:
        return RetryAfter(POLL_INTERVAL)
    if now < state.free_at:
        return RetryAfter((state.free_at - now).total_seconds())
    return QuotaState(day, calls + 1, now + permit_interval(limits))


def permit_interval(limits: SourceLimits) -> timedelta:
    """Return how long after a reservation the next may come."""
    return timedelta(seconds=limits.spacing + margin(limits) if limits.spacing else 0.0)


def margin(limits: SourceLimits) -> float:
    """Return the seconds by which reservations lie further apart than the source asks."""
    return max(MIN_MARGIN, limits.spacing / 10)


def permit_ttl(limits: SourceLimits) -> float:
    """Return for how many seconds a reservation is good: half the margin, the other half is the network's."""
    return margin(limits) / 2 if limits.spacing else 60.0
