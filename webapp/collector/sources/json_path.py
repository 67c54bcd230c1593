"""Where a value stands in JSON: `data.results[0].text`, and `answers[].text` for one of every element. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(r"(?:\.?([^.\[\]\s]+)|\[(\d*)\])")
_PATH = re.compile(r"(?:[^.\[\]\s]+|\[\d*\])(?:\.[^.\[\]\s]+|\[\d*\])*")

EACH = None
"""The step that goes on in every element of a list."""


@dataclass(frozen=True)
class FieldPath:
    """A place in JSON: keys, positions in lists, and `EACH`."""

    text: str
    segments: tuple[str | int | None, ...]

    def __str__(self) -> str:
        """Return it as it is written."""
        return self.text

    def find(self, value: Any) -> Any:
        """Return what stands there, None when nothing does; with `[]` in it a list, with None where nothing stands."""
        return _resolve(self.segments, value)

    def find_all(self, value: Any) -> list[Any]:
        """Return what stands there as a list: its elements if it is one, nothing if nothing stands there."""
        found = self.find(value)
        if isinstance(found, list):
            return found
        return [] if found is None else [found]


def parse(text: Any) -> FieldPath:
    """Return the path that is written so.

    Raises:
        ValueError: when it is no path.
    """
    if not isinstance(text, str) or not _PATH.fullmatch(text):
        raise ValueError("is no path; write keys with dots between, [0] for a position, [] for every element")
    steps = [key or (int(position) if position else EACH) for key, position in _STEP.findall(text)]
    return FieldPath(text, tuple(steps))


def _resolve(segments: tuple[str | int | None, ...], value: Any) -> Any:
    for place, step in enumerate(segments):
        if step is EACH:
            if not isinstance(value, list):
                return None
            return [_resolve(segments[place + 1 :], element) for element in value]
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
    return value
