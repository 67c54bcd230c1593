"""Labelled counters of other modules, which the fleet adds up and /metrics shows: declared once, counted anywhere."""

from __future__ import annotations

import threading

from poolproof.runtime import fork

LABEL_SEPARATOR = "\x1f"
"""Between the values of a counter's labels; no value contains it."""


class LabelledCounter:
    """A counter with labels; `name` is the metric's without `_total`."""

    def __init__(self, name: str, description: str, labels: tuple[str, ...]) -> None:
        """Begin without any count."""
        self.name = name
        self.description = description
        self.labels = labels
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)

    def increment(self, *values: str, amount: int = 1) -> None:
        """Add `amount` to the count for these values of the labels."""
        key = LABEL_SEPARATOR.join(values)
        # The lock keeps an addition whole: two threads would both begin from the same count.
        with self._lock:
            self.counts[key] = self.counts.get(key, 0) + amount

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()


_counters: dict[str, LabelledCounter] = {}


def declare(name: str, description: str, labels: tuple[str, ...]) -> LabelledCounter:
    """Return the counter of that name, created by the first declaration."""
    return _counters.setdefault(name, LabelledCounter(name, description, labels))


def declared_counters() -> list[LabelledCounter]:
    """Return all counters of this process, by name."""
    return [counter for _, counter in sorted(_counters.items())]
