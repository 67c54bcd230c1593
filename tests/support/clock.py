"""A clock that a test sets instead of waiting."""

from __future__ import annotations

from collections.abc import Callable


class SettableClock:
    """Stands for `time.monotonic`: real time, and how far the test has advanced it.

    It ends no rest that is under way: a thread that waits for an event wakes by that event, and one that rests
    between two rounds by its own `wake`.
    """

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._ahead = 0.0
        self._stopped_at: float | None = None

    def __call__(self) -> float:
        return (self._real() if self._stopped_at is None else self._stopped_at) + self._ahead

    def stop(self) -> None:
        """Let no time pass from now on but by `advance`: what a machine takes for something is not measured."""
        self._stopped_at = self._real()

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._ahead += seconds
