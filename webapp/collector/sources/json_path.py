"""Paths to values in JSON: `data.results[0].text`, and `answers[].text` for one of every element. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SEGMENT = re.compile(r"(?:\.?([^.\[\]\s]+)|\[(\d*)\])")
_PATH = re.compile(r"(?:[^.\[\]\s]+|\[\d*\])(?:\.[^.\[\]\s]+|\[\d*\])*")

EACH = None
"""The segment that continues in every element of a list."""


@dataclass(frozen=True)
class FieldPath:
    """A path in JSON: keys, positions in lists, and `EACH`."""

    text: str
    segments: tuple[str | int | None, ...]

    def __str__(self) -> str:
        """Return the path as it was written."""
        return self.text

    def find(self, value: Any) -> Any:
        """Return the value at the path, None when there is none; with `[]` in the path, a list of such values."""
        return _resolve(self.segments, value)

    def find_all(self, value: Any) -> list[Any]:
        """Return the value at the path as a list: a list itself, another value alone, nothing when there is none."""
        result = self.find(value)
        if isinstance(result, list):
            return result
        return [] if result is None else [result]


def parse(text: Any) -> FieldPath:
    """Return the path that a text describes.

    Raises:
        ValueError: when it is no path.
    """
    if not isinstance(text, str) or not _PATH.fullmatch(text):
        raise ValueError("is no path; write keys with dots between, [0] for a position, [] for every element")
    segments = [key or (int(position) if position else EACH) for key, position in _SEGMENT.findall(text)]
    return FieldPath(text, tuple(segments))


def _resolve(segments: tuple[str | int | None, ...], value: Any) -> Any:
    for index, segment in enumerate(segments):
        if segment is EACH:
            if not isinstance(value, list):
                return None
            return [_resolve(segments[index + 1 :], element) for element in value]
        if isinstance(segment, str):
            value = value.get(segment) if isinstance(value, dict) else None
        else:
            value = value[segment] if isinstance(value, list) and segment < len(value) else None
    return value
