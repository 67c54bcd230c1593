"""A small steady load: some threads that each begin a unit of work at fixed moments, and note how it ended."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from webapp.lab.recovery import NO_END, Sample
from webapp.pooling import driver

Unit = Callable[[int, int], None]
"""Gets the number of its thread, and its own number in that thread; raises when it fails."""
GRACE = 1.0
"""Seconds that what is under way has at the end."""


class UnitError(Exception):
    """A unit failed; the text is the name of how."""


class Load:
    """Threads that begin a unit every so many seconds each, in turn or all at the same moment.

    Moments are fixed in advance: who is late skips those that have gone by, and the time that
    somebody had to wait is counted from the moment at which he was meant to begin.
    """

    def __init__(self, unit: Unit, threads: int, every: float, *, together: bool = False) -> None:
        """Begin at once; `every` is in seconds."""
        self.began = time.monotonic()
        self.ended = math.inf
        self.samples: list[Sample] = []
        self._unit = unit
        self._every = every
        self._under_way: dict[int, float] = {}
        self._going = threading.Event()
        self._going.set()
        self._done = threading.Event()
        shifts = [0.0 if together else every * number / threads for number in range(threads)]
        # Daemons: what a fault holds for ever may not keep the lab from ending.
        self._threads = [
            threading.Thread(target=self._play, args=(number, shift), name=f"lab-load-{number}", daemon=True)
            for number, shift in enumerate(shifts)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Begin no further unit; returns when those under way have ended, or after a moment."""
        self._going.clear()
        deadline = time.monotonic() + GRACE
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.005)

    def resume(self) -> None:
        """Go on."""
        self._going.set()

    def until_served(self, within: float) -> None:
        """Wait until something that begins from now on succeeds, for so many seconds at most."""
        now = time.monotonic()
        while time.monotonic() < now + within:
            if any(one.meant >= now and not one.error for one in self.samples[-10:]):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """Begin nothing more; what does not end in a moment is noted as without an end."""
        self._done.set()
        deadline = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.ended = time.monotonic()
        for meant in list(self._under_way.copy().values()):
            self.samples.append(Sample(meant, self.ended, NO_END))

    def _play(self, number: int, shift: float) -> None:
        turn, slot = 0, 0
        while True:
            first = self.began + shift
            slot = max(slot + 1, math.ceil((time.monotonic() - first) / self._every))
            meant = first + slot * self._every
            if self._done.wait(max(0.0, meant - time.monotonic())):
                return
            if self._going.is_set():
                self._one(number, turn, meant)
                turn += 1

    def _one(self, number: int, turn: int, meant: float) -> None:
        self._under_way[number] = meant
        error = ""
        try:
            self._unit(number, turn)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is what is measured
            error = name_of(failure)
        self._under_way.pop(number, None)
        # After the end it has been noted as without one.
        if self.ended == math.inf:
            self.samples.append(Sample(meant, time.monotonic(), error))


def name_of(failure: Exception) -> str:
    """Return a short name of an error: the server's or the client's number where it has one."""
    if isinstance(failure, UnitError):
        return str(failure)
    number = driver.error_number(failure) if isinstance(failure, DBAPIError) else None
    return f"error {number}" if number is not None else type(failure).__name__
