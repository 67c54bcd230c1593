"""Durations as people read them. Pure."""

from __future__ import annotations

from webapp.messages import message

MICROSECOND, MILLISECOND = 1e-6, 1e-3
SECOND = 0.9995
"""Below it, milliseconds with three digits do not round up to 1000."""
TEN, TWO_MINUTES, TWO_HOURS, TWO_DAYS = 10.0, 120.0, 7200.0, 172_800.0


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that suits it, e.g. "8 µs", "7.81 ms", "9.8 s", "12 s", "14 min", "4 days"."""
    if seconds < SECOND:
        return _format_fraction(seconds)
    if seconds < TEN:
        return message("%(count)s s", count=format(seconds, ".1f"))
    if seconds < TWO_MINUTES:
        return message("%(count)s s", count=format(seconds, ".0f"))
    if seconds < TWO_HOURS:
        return message("%(count)s min", count=format(seconds / 60, ".0f"))
    if seconds < TWO_DAYS:
        return message("%(count)s h", count=format(seconds / 3600, ".0f"))
    return message("%(count)s days", count=format(seconds / 86_400, ".0f"))


def _format_fraction(seconds: float) -> str:
    if seconds < MICROSECOND:
        return message("%(count)s s", count="0")
    if seconds < MILLISECOND:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.3g} ms"
