"""When the next call may begin, and the quota after it. Pure: times in, times out.

A call is reserved before it is made, by the database's clock, and the reservation stays when its process dies.
The time between the reservation and the arrival of the call at the source differs from call to call, so two calls
could arrive closer together than they were reserved. Therefore a permit expires after a moment (`permit_ttl`), the
next one is given that much later, and where the spacing is long it also counts from the end of the response, when the
call has certainly arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from webapp.collector.sources.base import SourceLimits

MIN_MARGIN = 0.1
"""Seconds that are added to the source's spacing, at least; otherwise a tenth of the spacing."""
RESPONSE_SPACING_THRESHOLD = 0.25
"""Seconds of spacing from which on it also counts from the response."""
POLL_INTERVAL = 0.1
"""Seconds until the next attempt when all concurrent calls are taken."""


@dataclass(frozen=True)
class QuotaState:
    """A source's quota: calls since the day began (UTC), and when the next call may begin."""

    day_began_at: datetime
    calls: int
    free_at: datetime


@dataclass(frozen=True)
class RetryAfter:
    """No call may begin now; try again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class DailyLimitReached:
    """No call may begin before the next day."""

    resets_at: datetime


def decide(
    state: QuotaState, limits: SourceLimits, now: datetime, in_flight: int
) -> QuotaState | RetryAfter | DailyLimitReached:
    """Return the quota with one more call that may begin now, or why none may."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # A clock that is set back does not begin a new day.
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
    """Return the time between two reservations."""
    return timedelta(seconds=limits.spacing + margin(limits) if limits.spacing else 0.0)


def margin(limits: SourceLimits) -> float:
    """Return the seconds that reservations are further apart than the source requires."""
    return max(MIN_MARGIN, limits.spacing / 10)


def permit_ttl(limits: SourceLimits) -> float:
    """Return the seconds in which a permit must be used: half the margin; the other half is for the network."""
    return margin(limits) / 2 if limits.spacing else 60.0
