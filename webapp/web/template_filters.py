"""Jinja filters: times for readers, URLs that are safe to link."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flask import Flask

from webapp.web.languages import format_time


def init_app(app: Flask) -> None:
    """Register the filters below."""
    app.jinja_env.filters["format_datetime"] = format_datetime
    app.jinja_env.filters["format_iso_datetime"] = format_iso_datetime
    app.jinja_env.filters["safe_url"] = safe_url
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def format_datetime(value: datetime | None) -> str:
    """Return a time for readers, in their language, e.g. "20 Nov 2026, 22:30 UTC"."""
    return "" if value is None else format_time(value)


def format_iso_datetime(value: datetime | None) -> str:
    """Return a time for `<time datetime>`, which a script converts to the reader's time zone."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="seconds")


def safe_url(value: str | None) -> str | None:
    """Return the URL if it is http or https; None for javascript: and all other schemes."""
    return value if value is not None and _HTTP_URL.match(value) else None


_HTTP_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)
