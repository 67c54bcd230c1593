"""Requests whose body is a file: they may be larger than all others, and need not be JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request

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
