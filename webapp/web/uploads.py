"""Requests whose body is a file: they may be larger than all others, and need not be JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request, session

from webapp.errors import TooLargeError

MAX_UPLOAD_CONFIG_KEY = "MAX_UPLOAD_BYTES"
"""The key of the app's configuration that has the size of the largest file, in bytes."""
FORM_OVERHEAD_BYTES = 64 * 1024
"""Room for the fields and boundaries around the file in a form."""

View = TypeVar("View", bound=Callable[..., Any])


def accepts_upload(view: View) -> View:
    """Declare that requests to this view may have a file as body."""
    view.accepts_upload = True  # type: ignore[attr-defined]
    return view


def is_upload_request() -> bool:
    """Say whether the current request may have a file as body."""
    return getattr(current_app.view_functions.get(request.endpoint or ""), "accepts_upload", False)


def init_app(app: Flask) -> None:
    """Raise the limit of the body for uploads, before the body is parsed."""
    app.before_request(_raise_body_limit)


def _raise_body_limit() -> None:
    # A form is parsed before its view authorizes it, so only signed-in users may send a large one. `_user_id` is
    # Flask-Login's key in the signed session.
    if is_upload_request() and ("Authorization" in request.headers or "_user_id" in session):
        max_bytes = current_app.config[MAX_UPLOAD_CONFIG_KEY]
        if (request.content_length or 0) > max_bytes + FORM_OVERHEAD_BYTES:
            raise TooLargeError(f"A file may have {max_bytes // 1024 // 1024} MiB; split it.")
        request.max_content_length = max_bytes + FORM_OVERHEAD_BYTES
