"""The threads that wait for a connection: first come, first served, by direct hand-over."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from poolproof import deadlines
from poolproof.core.codel import CoDel
from poolproof.core.connection_record import MonotonicRecord
from poolproof.leaks.checkouts import current_request


class Waiter:
    """A thread that waits until it is granted a connection or the right to make one, or is rejected.

    The signal is a plain lock, acquired on creation and released by the thread that grants or rejects: the cheapest way
    in Python to wake one particular thread.
    """

    __slots__ = ("_request", "_signal", "_thread", "granted", "record", "rejected", "since")

    def __init__(self) -> None:
        """Begin to wait now, for the present request or thread."""
        self.since = time.monotonic()
        self.granted = False
        self.rejected = False
        self.record: MonotonicRecord | None = None
        self._request, self._thread = current_request.get(), threading.current_thread()
        self._signal = threading.Lock()
        self._signal.acquire()

    def owner_name(self) -> str:
        """Return the name of the waiting request; outside of requests, of the thread."""
        return (self._request and self._request.name) or self._thread.name

    def grant(self, record: MonotonicRecord | None) -> None:
        """Hand over a connection, or with None the right to make one; the pool's lock must be held."""
        self.record = record
        self.granted = True
        self._signal.release()

    def reject(self) -> None:
        """End the wait with nothing; the pool's lock must be held."""
        self.rejected = True
        self._signal.release()

    def wait(
        self, timeout: float, interval: float, on_interval: Callable[[], None], timeout_origin: Callable[[], float]
    ) -> None:
        """Wait until granted or rejected, for `timeout` seconds and until the deadline of the context at most.

        `on_interval` is called every `interval` seconds. When the time-out is over, it counts anew from
        `timeout_origin()`, which is later where the pool was suspended; the deadline does not.
        """
        deadline_at = self.since + deadlines.clamp(None)
        ends_at = min(self.since + timeout, deadline_at)
        while (remaining := ends_at - time.monotonic()) > 0:
            seconds = min(remaining, interval)
            if self._signal.acquire(timeout=-1 if seconds == math.inf else seconds):
                return
            if time.monotonic() < ends_at:
                on_interval()
            else:
                ends_at = min(max(ends_at, timeout_origin() + timeout), deadline_at)


class WaitQueue:
    """The waiters of a pool, in order. Every method needs the pool's lock unless it says that it does not."""

    def __init__(self, max_waiting: int | None, shedding: CoDel | None) -> None:
        """Let at most `max_waiting` wait at once (None: any number); `shedding` decides whose wait is too long."""
        self.max_waiting = max_waiting
        self.shedding = shedding
        self.waiters: deque[Waiter] = deque()
        self._resumed_at = -math.inf
        """When the pool was resumed last, on the monotonic clock; infinity while it is suspended."""

    def suspend(self) -> None:
        """Record that no connection is lent from now on; needs no lock."""
        self._resumed_at = math.inf

    def resume(self) -> None:
        """Record that connections are lent again; needs no lock."""
        if self._resumed_at == math.inf:
            self._resumed_at = time.monotonic()
            if self.shedding is not None:
                self.shedding.on_first_waiter(self._resumed_at)

    def timeout_origin(self) -> float:
        """Return the time from which a time-out counts: a suspended pool serves no waiter. Needs no lock."""
        return min(self._resumed_at, time.monotonic())

    def check_interval(self) -> float:
        """Return after how many seconds a waiter checks whether the pool has stalled. Needs no lock."""
        return self.shedding.interval if self.shedding is not None else math.inf

    def is_full(self) -> bool:
        """Say whether no further thread may wait."""
        return self.max_waiting is not None and len(self.waiters) >= self.max_waiting

    def enqueue(self) -> Waiter:
        """Add a waiter at the end and return it."""
        waiter = Waiter()
        if self.shedding is not None and not self.waiters:
            self.shedding.on_first_waiter(waiter.since)
        self.waiters.append(waiter)
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out, unless it was granted or rejected in this moment."""
        if not waiter.granted and not waiter.rejected:
            self.waiters.remove(waiter)

    def pop(self) -> Waiter:
        """Take out the first waiter that has not waited too long, or the last of all; reject those before it.

        Raises:
            IndexError: when none waits.
        """
        waiter = self.waiters.popleft()
        if self.shedding is None:
            return waiter
        now = time.monotonic()
        while self.shedding.should_shed(self._served_wait(waiter, now), now) and self.waiters:
            waiter.reject()
            waiter = self.waiters.popleft()
        return waiter

    def shed_if_stalled(self) -> None:
        """Reject the waiters that have waited too long, when no connection has come back for a whole interval.

        One is left, which uses the connection that comes back next. A suspended pool rejects none.
        """
        if self.shedding is None or not self.waiters:
            return
        now = time.monotonic()
        if self.shedding.on_stall(self._served_wait(self.waiters[0], now), now):
            while len(self.waiters) > 1 and self.shedding.exceeds_limit(self._served_wait(self.waiters[0], now)):
                self.waiters.popleft().reject()

    def _served_wait(self, waiter: Waiter, now: float) -> float:
        # The time in which the pool lent connections: that it was suspended says nothing about its load.
        return now - max(waiter.since, min(self._resumed_at, now))

    def oldest_wait(self) -> float:
        """Return how long the first has waited, in seconds; 0.0 when none waits. Needs no lock."""
        try:
            return time.monotonic() - self.waiters[0].since
        except IndexError:
            return 0.0
