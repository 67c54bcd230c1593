"""A small steady load: each thread begins a unit of work at fixed moments and records how it ended."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from poolproof.drivers import errors
from webapp.lab.drills.recovery import UNFINISHED, UnitSample

Unit = Callable[[int, int], None]
"""Called with the number of the thread and the number of the unit in that thread; raises when it fails."""
GRACE_PERIOD = 1.0
"""Seconds that units under way have to end when the load is paused or stopped."""


class UnitError(Exception):
    """A unit failed; the text is the name of the error."""


class PacedLoad:
    """Threads that begin a unit every so many seconds each, in turn or all at the same moment.

    The moments are fixed in advance: a thread that is late skips those that have passed, and the time of a unit is
    counted from the moment at which it was meant to begin.
    """

    def __init__(self, unit: Unit, threads: int, interval: float, *, simultaneous: bool = False) -> None:
        """Start the threads; `interval` is in seconds."""
        self.started_at = time.monotonic()
        self.ended_at = math.inf
        self.samples: list[UnitSample] = []
        self._unit = unit
        self._interval = interval
        self._in_flight: dict[int, float] = {}
        self._running = threading.Event()
        self._running.set()
        self._stopped = threading.Event()
        offsets = [0.0 if simultaneous else interval * number / threads for number in range(threads)]
        # Daemons: a thread that a fault blocks for ever must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run_thread, args=(number, offset), name=f"lab-load-{number}", daemon=True)
            for number, offset in enumerate(offsets)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Begin no further unit; return when those under way have ended, or after a grace period."""
        self._running.clear()
        deadline = time.monotonic() + GRACE_PERIOD
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.005)

    def resume(self) -> None:
        """Begin units again."""
        self._running.set()

    def wait_until_served(self, timeout: float) -> None:
        """Wait until a unit that begins from now on has succeeded, or until the time-out."""
        now = time.monotonic()
        while time.monotonic() < now + timeout:
            if any(sample.intended_start >= now and not sample.error for sample in self.samples[-10:]):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """Begin no further unit; those that do not end within the grace period are recorded as unfinished."""
        self._stopped.set()
        deadline = time.monotonic() + GRACE_PERIOD
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.ended_at = time.monotonic()
        for intended_start in list(self._in_flight.copy().values()):
            self.samples.append(UnitSample(intended_start, self.ended_at, UNFINISHED))

    def _run_thread(self, thread: int, offset: float) -> None:
        iteration, slot = 0, 0
        while True:
            first = self.started_at + offset
            slot = max(slot + 1, math.ceil((time.monotonic() - first) / self._interval))
            intended_start = first + slot * self._interval
            if self._stopped.wait(max(0.0, intended_start - time.monotonic())):
                return
            if self._running.is_set():
                self._run_unit(thread, iteration, intended_start)
                iteration += 1

    def _run_unit(self, thread: int, iteration: int, intended_start: float) -> None:
        self._in_flight[thread] = intended_start
        error = ""
        try:
            self._unit(thread, iteration)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is what is measured
            error = error_name(failure)
        self._in_flight.pop(thread, None)
        # After `stop` this unit has been recorded as unfinished.
        if self.ended_at == math.inf:
            self.samples.append(UnitSample(intended_start, time.monotonic(), error))


def error_name(error: Exception) -> str:
    """Return a short name of an error: the number of the server or of the client library where there is one."""
    if isinstance(error, UnitError):
        return str(error)
    number = errors.error_number(error) if isinstance(error, DBAPIError) else None
    return f"error {number}" if number is not None else type(error).__name__
