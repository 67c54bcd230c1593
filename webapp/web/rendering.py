"""What templates may use: times for people."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask


def register(app: Flask) -> None:
    """Make the names below known to all templates."""
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.filters["machine_time"] = machine_time
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def moment(value: datetime | None) -> str:
    """Return a time as people read it, e.g. "20 Nov 2026, 22:30 UTC"."""
    return "" if value is None else f"{value.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def machine_time(value: datetime | None) -> str:
    """Return a time for `<time datetime>`, which script turns into the reader's own zone."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="seconds")
