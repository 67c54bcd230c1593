"""The values that wait for a group commit, those that were blocked, and the deadlines of their callers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from poolproof.errors import PoolQueueFullError

Value = TypeVar("Value")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 500
MAX_WAITING = 5000
MIN_BLOCKED_PAUSE, MAX_BLOCKED_PAUSE = 0.005, 0.1
"""Seconds until a value that was blocked goes into a batch again; the pause doubles while values stay blocked."""

ResultCallback = Callable[["Result | None", "BaseException | None"], None]


class Entry(Generic[Value, Result]):
    """One caller's write, and the callback that gets its outcome."""

    __slots__ = ("_settled", "callback", "deadline", "is_in_batch", "value")

    def __init__(self, value: Value, deadline: float, callback: ResultCallback[Result]) -> None:
        """Wait until `deadline`, on the monotonic clock."""
        self.value = value
        self.deadline = deadline
        self.is_in_batch = False
        self.callback = callback
        self._settled = threading.Lock()

    def is_settled(self) -> bool:
        """Say whether the caller was told, or is being told, the outcome."""
        return self._settled.locked()

    def settle(self, result: Result | None, error: BaseException | None) -> None:
        """Call the callback, once: a commit that ends after the caller's deadline has no effect here."""
        if self._settled.acquire(blocking=False):
            try:
                self.callback(result, error)
            except Exception:
                # An error in one caller's callback must not keep the others from being called.
                log.exception("A caller could not be told how its write ended")


class CommitQueue(Generic[Value, Result]):
    """A bounded queue, to which any thread may add; its lock is held for moments, by those who take something out.

    To append to a deque is one step of the interpreter. Under a lock, each thread that the interpreter puts aside while
    it holds it would make all others wait, for every single entry.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.refused = 0
        """Values rejected because too many waited already."""
        self._lock = threading.Lock()
        self._queue: deque[Entry[Value, Result]] = deque()
        self._blocked: list[Entry[Value, Result]] = []
        self._blocked_pause = MIN_BLOCKED_PAUSE
        self._blocked_until = 0.0
        self._tracked: deque[Entry[Value, Result]] = deque()
        self._has_watcher = False

    def __len__(self) -> int:
        """Return how many values are in no batch."""
        return len(self._queue) + len(self._blocked)

    def append(self, entry: Entry[Value, Result]) -> None:
        """Add an entry.

        Raises:
            PoolQueueFullError: when there are too many; threads that come at the same moment may exceed it by one each.
        """
        if len(self._queue) + len(self._blocked) >= MAX_WAITING:
            with self._lock:
                self.refused += 1
            raise PoolQueueFullError(f"{MAX_WAITING} writes of this process wait for their commit, and no more may.")
        self._queue.append(entry)

    def next_batch(self) -> list[Entry[Value, Result]]:
        """Take out what is to be written next: blocked entries whose pause is over, and the first of the others."""
        with self._lock:
            batch: list[Entry[Value, Result]] = []
            if time.monotonic() >= self._blocked_until:
                batch, self._blocked = [entry for entry in self._blocked if not entry.is_settled()], []
            available = max(0, MAX_BATCH_SIZE - len(batch))
            batch += [self._queue.popleft() for _ in range(min(len(self._queue), available))]
            for entry in batch:
                entry.is_in_batch = True
        return batch

    def block(self, entries: Sequence[Entry[Value, Result]]) -> None:
        """Keep entries of a batch that were blocked for a later one; without any, the next pause is short again."""
        with self._lock:
            if not entries:
                self._blocked_pause = MIN_BLOCKED_PAUSE
                return
            self._blocked += entries
            self._blocked_until = time.monotonic() + self._blocked_pause
            self._blocked_pause = min(2 * self._blocked_pause, MAX_BLOCKED_PAUSE)

    def pause(self, idle: float) -> float:
        """Return after how many seconds blocked entries are due; `idle` where there are none."""
        with self._lock:
            return max(0.0, self._blocked_until - time.monotonic()) if self._blocked else idle

    def withdraw(self, entry: Entry[Value, Result]) -> None:
        """Take an entry out that is in no batch yet."""
        with self._lock:
            if not entry.is_in_batch:
                self._queue.remove(entry)
                # Marked, so that a second withdrawal does not look for it in the queue again.
                entry.is_in_batch = True

    def track_deadline(self, entry: Entry[Value, Result]) -> bool:
        """Let `take_overdue` look at this entry's deadline; say whether its thread has to be woken."""
        self._tracked.append(entry)
        # Looked at after the entry is there, as `take_overdue` looks for entries after it has said that it goes: one of
        # them notices the other.
        if self._has_watcher:
            return False
        self._has_watcher = True
        return True

    def take_overdue(self) -> tuple[list[Entry[Value, Result]], bool]:
        """Return the watched entries whose deadline has passed, and whether others are left to be watched."""
        now = time.monotonic()
        overdue = []
        # Only this takes entries out, in one thread; others append meanwhile.
        for _ in range(len(self._tracked)):
            entry = self._tracked.popleft()
            if entry.is_settled():
                continue
            if entry.deadline <= now:
                overdue.append(entry)
            else:
                self._tracked.append(entry)
        self._has_watcher = False
        if self._tracked:
            self._has_watcher = True
        return overdue, self._has_watcher
