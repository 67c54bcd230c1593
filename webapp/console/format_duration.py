"""Durations as people read them. Pure."""

from __future__ import annotations

SECOND, TEN, TWO_MINUTES, TWO_HOURS, TWO_DAYS = 1.0, 10.0, 120.0, 7200.0, 172_800.0


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that suits it, e.g. "250 ms", "9.8 s", "12 s", "14 min", "3 h", "4 days"."""
    if seconds < SECOND:
        return f"{seconds * 1000:.0f} ms"
    if seconds < TEN:
        return f"{seconds:.1f} s"
    if seconds < TWO_MINUTES:
        return f"{seconds:.0f} s"
    if seconds < TWO_HOURS:
        return f"{seconds / 60:.0f} min"
    if seconds < TWO_DAYS:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"
