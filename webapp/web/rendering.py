"""What templates may use: static files by content, times for people."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from flask import Flask, url_for

WEBAPP = Path(__file__).resolve().parent.parent


def register(app: Flask) -> None:
    """Make the names below known to all templates."""
    app.jinja_env.globals["static_file"] = static_file
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.filters["machine_time"] = machine_time
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def static_file(name: str) -> str:
    """Return the address of a static file; it changes when the file does, so it may be kept for ever."""
    return url_for("static", filename=name, v=_fingerprint(name))


def moment(value: datetime | None) -> str:
    """Return a time as people read it, e.g. "20 Nov 2026, 22:30 UTC"."""
    return "" if value is None else f"{value.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def machine_time(value: datetime | None) -> str:
    """Return a time for `<time datetime>`, which script turns into the reader's own zone."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="seconds")


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256((WEBAPP / "static" / name).read_bytes()).hexdigest()[:12]
