"""Forms that a busy server hands back with everything in them, to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import current_app, request

MOST_FIELDS = 300
MOST_CHARACTERS = 20_000
CSRF_FIELD = "csrf_token"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kept:
    """A form as it was posted, and what its sender is told."""

    sentence: str
    fields: Sequence[tuple[str, str]]


def repeatable(sentence: str) -> Callable[[View], View]:
    """Declare that a form may be posted to this view again without harm; `sentence` tells people that it was kept."""

    def declare(view: View) -> View:
        view.said_when_busy = sentence  # type: ignore[attr-defined]
        return view

    return declare


def kept_form() -> Kept | None:
    """Return what was posted, when it may be repeated and is no larger than our own forms are.

    The CSRF token is left out: the page gets a new one.
    """
    sentence = getattr(current_app.view_functions.get(request.endpoint or ""), "said_when_busy", None)
    if sentence is None or request.method != "POST":
        return None
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != CSRF_FIELD]
    if len(fields) > MOST_FIELDS or sum(len(name) + len(value) for name, value in fields) > MOST_CHARACTERS:
        return None
    return Kept(sentence, fields)
