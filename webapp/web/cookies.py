"""Cookies that no script reads and no other site sends."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app
from werkzeug.wrappers import Response


def set_cookie(response: Response, name: str, value: str, max_age: timedelta, path: str) -> None:
    """Set a cookie for the addresses below `path`; over HTTPS only where the installation says so."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=max_age, path=path, httponly=True, samesite="Lax", secure=secure)
