"""What a test takes for granted, asserted: the type checker knows it then, and a failing test says what was there."""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")


def not_none(value: T | None) -> T:
    """Return a value that is there."""
    assert value is not None
    return value


def match_in(pattern: str, text: str, flags: int = 0) -> re.Match[str]:
    """Return the first match of a pattern in a text."""
    match = re.search(pattern, text, flags)
    assert match is not None, f"{pattern!r} is not in {text!r}"
    return match
