"""Requests whose body is a file: they may be larger than all others, and need not be JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request, session

from webapp.errors import TooLargeError

MAX_UPLOAD_CONFIG_KEY = "MAX_UPLOAD_BYTES"
"""In the app's configuration: bytes of the largest file."""
FORM_OVERHEAD_BYTES = 64 * 1024
"""Bytes of what stands around a file in a form."""

View = TypeVar("View", bound=Callable[..., Any])


def accepts_upload(view: View) -> View:
    """Declare that requests to this view may bring a file."""
    view.accepts_upload = True  # type: ignore[attr-defined]
    return view


def is_upload_request() -> bool:
    """Say whether the current request may bring a file."""
    return getattr(current_app.view_functions.get(request.endpoint or ""), "accepts_upload", False)


def init_app(app: Flask) -> None:
    """Let files in, before anything looks into a body."""
    app.before_request(_raise_body_limit)


def _raise_body_limit() -> None:
    # A form is read before its view is asked: of a stranger, nothing large. Flask-Login's mark, which we have signed.
    if is_upload_request() and ("Authorization" in request.headers or "_user_id" in session):
        most = current_app.config[MAX_UPLOAD_CONFIG_KEY] + FORM_OVERHEAD_BYTES
        if (request.content_length or 0) > most:
            raise TooLargeError(
                f"A file may have {current_app.config[MAX_UPLOAD_CONFIG_KEY] // 1024 // 1024} MiB; split it."
            )
        request.max_content_length = most
