"""Times as an author's clock shows them, and the moments that they stand for. Pure functions.

Twice a year the clocks of many places jump: some times do not exist on that day, and others come twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

UTC_NAME = "UTC"
AREAS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)
"""Other names of the database of time zones are abbreviations and former names."""


class NoSuchTimeError(ValueError):
    """The clocks jump over this time; `next_time` is what they show instead."""

    def __init__(self, next_time: datetime) -> None:
        """Make an error that names the time that the clocks show instead."""
        super().__init__(f"the clocks jump over it to {next_time:%H:%M}")
        self.next_time = next_time


@dataclass(frozen=True)
class ResolvedTime:
    """What a local time stands for."""

    utc: datetime
    comes_twice: bool
    """Whether clocks show the time again an hour or so later; this is the first of the two."""


@cache
def zone_names() -> tuple[str, ...]:
    """Return the names of the time zones that this machine knows, UTC first."""
    return UTC_NAME, *sorted(name for name in available_timezones() if name.startswith(AREAS))


def known_zone(name: str | None) -> str:
    """Return the name if it is one of a time zone, otherwise UTC."""
    return name if name in zone_names() else UTC_NAME


def resolve_local(local: datetime, zone_name: str) -> ResolvedTime:
    """Return the moment at which clocks in a time zone show this time; the first one, when they show it twice.

    Raises:
        NoSuchTimeError: when they never show it.
        OverflowError: when it is no time in UTC, at the ends of the calendar.
    """
    zone = _zone(zone_name)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    utc = first.astimezone(UTC)
    shown = to_local(utc, zone_name)
    if shown != local:
        raise NoSuchTimeError(shown)
    return ResolvedTime(utc, comes_twice=first.utcoffset() != second.utcoffset())


def to_local(moment: datetime, zone_name: str) -> datetime:
    """Return what clocks in a time zone show at a moment."""
    return moment.astimezone(_zone(zone_name)).replace(tzinfo=None, fold=0)


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == UTC_NAME else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
