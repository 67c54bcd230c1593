"""Forms that a busy server returns with all their fields, so that they can be sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import current_app, request

MAX_FIELDS = 300
MAX_CHARACTERS = 20_000
CSRF_FIELD = "csrf_token"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class RetainedForm:
    """A form as it was posted, and the message to its sender."""

    message: str
    fields: Sequence[tuple[str, str]]


def retryable_form(message: str) -> Callable[[View], View]:
    """Declare that posting to this view is repeatable; `message` tells the sender that the form was kept."""

    def declare(view: View) -> View:
        view.busy_message = message  # type: ignore[attr-defined]
        return view

    return declare


def is_repeatable() -> bool:
    """Say whether the view of the present request has declared that posting to it is repeatable."""
    return hasattr(current_app.view_functions.get(request.endpoint or ""), "busy_message")


def get_retained_form() -> RetainedForm | None:
    """Return the posted form if its view is repeatable and it is no larger than our own forms are.

    The CSRF token is left out: the page gets a new one.
    """
    message = getattr(current_app.view_functions.get(request.endpoint or ""), "busy_message", None)
    if message is None or request.method != "POST":
        return None
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != CSRF_FIELD]
    if len(fields) > MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > MAX_CHARACTERS:
        return None
    return RetainedForm(message, fields)
