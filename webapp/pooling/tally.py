"""Counts of other parts that the fleet adds up and /metrics shows: declared once, counted anywhere in a process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

SEPARATOR = "\x1f"
"""Between the values of a count's labels; no value has it."""


@dataclass(frozen=True)
class Tally:
    """A counter with labels; `name` is the metric's without `_total`."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def count(self, *values: str, by: int = 1) -> None:
        """Count `by` more for these values of the labels."""
        key = SEPARATOR.join(values)
        with self._lock:
            self.counts[key] = self.counts.get(key, 0) + by


_declared: dict[str, Tally] = {}


def declare(name: str, meaning: str, labels: tuple[str, ...]) -> Tally:
    """Return the tally of that name, made when it is declared first."""
    return _declared.setdefault(name, Tally(name, meaning, labels))


def declared() -> list[Tally]:
    """Return all tallies of this process, by name."""
    return [tally for _, tally in sorted(_declared.items())]
