"""The fields of an item that a foreign format has no place for, in a comment of ours: JSON on one line of ASCII."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from webapp.bank.item_draft import OPTIONAL_FIELDS, ItemDraft
from webapp.web.validators import is_decimal

PREFIX = "poolproof:"
"""The beginning of a comment of ours."""

_FIELDS = [name for name in OPTIONAL_FIELDS if name != "explanation"]
_LISTS = ("pinned", "tags")
"""Lists, which are written as one text each: positions and tags have no comma."""


def format_comment(draft: ItemDraft, *, with_category: bool) -> str | None:
    """Return the comment's text, or None when the item has none of the fields."""
    names = [name for name in _FIELDS if with_category or name != "category"]
    values = {name: value for name in names if (value := getattr(draft, name)) is not None}
    values |= {name: ", ".join(map(str, getattr(draft, name))) for name in _LISTS if getattr(draft, name)}
    return f"{PREFIX} {json.dumps(values, default=datetime.isoformat)}" if values else None


def parse_timestamp(text: str) -> datetime:
    """Return the time that `collected_at` names.

    Raises:
        ValueError: when it is no time, or has no time zone.
    """
    try:
        timestamp = datetime.fromisoformat(text)
        if timestamp.tzinfo is not None:
            return timestamp.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"collected_at is {text[:40]!r}, not a time like 2026-11-25T12:00:00+00:00.")


def parse_comment(comment: str) -> dict[str, Any] | None:
    """Return the fields that a comment holds; None when the comment is not one of ours.

    Raises:
        ValueError: when it is one of ours and damaged.
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
    if unknown := sorted(values.keys() - {*_FIELDS, *_LISTS}):
        raise ValueError(
            f"The comment that begins with {PREFIX} names {unknown[0][:40]!r}, which is no field of an item."
        )
    if "collected_at" in values:
        values["collected_at"] = parse_timestamp(values["collected_at"])
    if "tags" in values:
        values["tags"] = tuple(values["tags"].split(", "))
    if "pinned" in values:
        values["pinned"] = _parse_positions(values["pinned"])
    return values


def _parse_positions(text: str) -> tuple[int, ...]:
    numbers = text.split(", ")
    if not all(is_decimal(number, 2) for number in numbers):
        raise ValueError(f"pinned is {text[:40]!r}, not positions of choices.")
    return tuple(map(int, numbers))
