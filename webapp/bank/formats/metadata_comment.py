"""What an item has and a foreign format has no place for, as a comment of ours: JSON on one line of ASCII."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from webapp.bank.item_draft import ItemDraft

PREFIX = "poolproof:"
"""A comment that begins with it is ours."""

_FIELDS = ("category", "difficulty", "source", "licence", "address", "collected_at", "original")


def format_comment(draft: ItemDraft, *, with_category: bool) -> str | None:
    """Return the comment's text, or None when there is nothing to tell."""
    names = _FIELDS if with_category else _FIELDS[1:]
    values = {name: value for name in names if (value := getattr(draft, name)) is not None}
    return f"{PREFIX} {json.dumps(values, default=datetime.isoformat)}" if values else None


def parse_timestamp(text: str) -> datetime:
    """Return the moment that `collected_at` tells.

    Raises:
        ValueError: when it is none, or does not say in which time zone.
    """
    try:
        told = datetime.fromisoformat(text)
        if told.tzinfo is not None:
            return told.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"collected_at is {text[:40]!r}, not a time like 2026-11-25T12:00:00+00:00.")


def parse_comment(comment: str) -> dict[str, Any] | None:
    """Return the fields that a comment tells; None when it is somebody else's comment.

    Raises:
        ValueError: when it is ours and has been broken.
    """
    text = comment.strip()
    if not text.startswith(PREFIX):
        return None
    try:
        values = json.loads(text.removeprefix(PREFIX))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError(f"The comment that begins with {PREFIX} is not as we write it.")
    if unknown := sorted(values.keys() - set(_FIELDS)):
        raise ValueError(
            f"The comment that begins with {PREFIX} tells of {unknown[0][:40]!r}, which is no field of an item."
        )
    if "collected_at" in values:
        values["collected_at"] = parse_timestamp(values["collected_at"])
    return values
