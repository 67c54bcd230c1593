"""Labelled counters of other modules, which the fleet adds up and /metrics shows: declared once, counted anywhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

LABEL_SEPARATOR = "\x1f"
"""Between the values of a counter's labels; no value contains it."""


@dataclass(frozen=True)
class LabelledCounter:
    """A counter with labels; `name` is the metric's without `_total`."""

    name: str
    description: str
    labels: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def increment(self, *values: str, amount: int = 1) -> None:
        """Add `amount` to the count for these values of the labels."""
        key = LABEL_SEPARATOR.join(values)
        with self._lock:
            self.counts[key] = self.counts.get(key, 0) + amount


_counters: dict[str, LabelledCounter] = {}


def declare(name: str, description: str, labels: tuple[str, ...]) -> LabelledCounter:
    """Return the counter of that name, created by the first declaration."""
    return _counters.setdefault(name, LabelledCounter(name, description, labels))


def declared_counters() -> list[LabelledCounter]:
    """Return all counters of this process, by name."""
    return [counter for _, counter in sorted(_counters.items())]
