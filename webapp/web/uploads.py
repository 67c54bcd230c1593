"""Requests whose body is a file: they may be larger than all others, and need not be JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request, session

from webapp.errors import TooLargeError

LARGEST = "LARGEST_IMPORT"
"""In the app's configuration: bytes of the largest file."""
ROOM_FOR_A_FORM = 64 * 1024
"""Bytes of what stands around a file in a form."""

View = TypeVar("View", bound=Callable[..., Any])


def takes_a_file(view: View) -> View:
    """Declare that requests to this view may bring a file."""
    view.takes_a_file = True  # type: ignore[attr-defined]
    return view


def is_for_a_file() -> bool:
    """Say whether the current request may bring a file."""
    return getattr(current_app.view_functions.get(request.endpoint or ""), "takes_a_file", False)


def register(app: Flask) -> None:
    """Let files in, before anything looks into a body."""
    app.before_request(_let_in)


def _let_in() -> None:
    # A form is read before its view is asked: of a stranger, nothing large. Flask-Login's mark, which we have signed.
    if is_for_a_file() and ("Authorization" in request.headers or "_user_id" in session):
        most = current_app.config[LARGEST] + ROOM_FOR_A_FORM
        if (request.content_length or 0) > most:
            raise TooLargeError(f"A file may have {current_app.config[LARGEST] // 1024 // 1024} MiB; split it.")
        request.max_content_length = most
