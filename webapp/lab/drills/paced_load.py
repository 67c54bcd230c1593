"""A small steady load: some threads that each begin a unit of work at fixed moments, and note how it ended."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.mysql import errors as mysql_errors
from webapp.lab.drills.recovery import UNFINISHED, UnitSample

Unit = Callable[[int, int], None]
"""Gets the number of its thread, and its own number in that thread; raises when it fails."""
GRACE_PERIOD = 1.0
"""Seconds that what is under way has at the end."""


class UnitError(Exception):
    """A unit failed; the text is the name of how."""


class PacedLoad:
    """Threads that begin a unit every so many seconds each, in turn or all at the same moment.

    Moments are fixed in advance: who is late skips those that have gone by, and the time that
    somebody had to wait is counted from the moment at which he was meant to begin.
    """

    def __init__(self, unit: Unit, threads: int, interval: float, *, simultaneous: bool = False) -> None:
        """Begin at once; `every` is in seconds."""
        self.started_at = time.monotonic()
        self.ended_at = math.inf
        self.samples: list[UnitSample] = []
        self._unit = unit
        self._interval = interval
        self._in_flight: dict[int, float] = {}
        self._running = threading.Event()
        self._running.set()
        self._stopped = threading.Event()
        shifts = [0.0 if simultaneous else interval * number / threads for number in range(threads)]
        # Daemons: what a fault holds for ever may not keep the lab from ending.
        self._threads = [
            threading.Thread(target=self._run_thread, args=(number, shift), name=f"lab-load-{number}", daemon=True)
            for number, shift in enumerate(shifts)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Begin no further unit; returns when those under way have ended, or after a moment."""
        self._running.clear()
        deadline = time.monotonic() + GRACE_PERIOD
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.005)

    def resume(self) -> None:
        """Go on."""
        self._running.set()

    def wait_until_served(self, timeout: float) -> None:
        """Wait until something that begins from now on succeeds, for so many seconds at most."""
        now = time.monotonic()
        while time.monotonic() < now + timeout:
            if any(one.intended_start >= now and not one.error for one in self.samples[-10:]):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """Begin nothing more; what does not end in a moment is noted as without an end."""
        self._stopped.set()
        deadline = time.monotonic() + GRACE_PERIOD
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.ended_at = time.monotonic()
        for meant in list(self._in_flight.copy().values()):
            self.samples.append(UnitSample(meant, self.ended_at, UNFINISHED))

    def _run_thread(self, thread: int, offset: float) -> None:
        turn, slot = 0, 0
        while True:
            first = self.started_at + offset
            slot = max(slot + 1, math.ceil((time.monotonic() - first) / self._interval))
            meant = first + slot * self._interval
            if self._stopped.wait(max(0.0, meant - time.monotonic())):
                return
            if self._running.is_set():
                self._run_unit(thread, turn, meant)
                turn += 1

    def _run_unit(self, thread: int, iteration: int, intended_start: float) -> None:
        self._in_flight[thread] = intended_start
        error = ""
        try:
            self._unit(thread, iteration)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is what is measured
            error = error_name(failure)
        self._in_flight.pop(thread, None)
        # After the end it has been noted as without one.
        if self.ended_at == math.inf:
            self.samples.append(UnitSample(intended_start, time.monotonic(), error))


def error_name(error: Exception) -> str:
    """Return a short name of an error: the server's or the client's number where it has one."""
    if isinstance(error, UnitError):
        return str(error)
    number = mysql_errors.error_number(error) if isinstance(error, DBAPIError) else None
    return f"error {number}" if number is not None else type(error).__name__
