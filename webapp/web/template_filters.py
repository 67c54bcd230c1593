"""What templates may use: times for people, addresses that may be followed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flask import Flask


def init_app(app: Flask) -> None:
    """Make the names below known to all templates."""
    app.jinja_env.filters["format_datetime"] = format_datetime
    app.jinja_env.filters["format_iso_datetime"] = format_iso_datetime
    app.jinja_env.filters["safe_url"] = safe_url
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def format_datetime(value: datetime | None) -> str:
    """Return a time as people read it, e.g. "20 Nov 2026, 22:30 UTC"."""
    return "" if value is None else f"{value.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def format_iso_datetime(value: datetime | None) -> str:
    """Return a time for `<time datetime>`, which script turns into the reader's own zone."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="seconds")


def safe_url(value: str | None) -> str | None:
    """Return an address that may be a link: of the web, not javascript: or the like."""
    return value if value is not None and _HTTP_URL.match(value) else None


_HTTP_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)
