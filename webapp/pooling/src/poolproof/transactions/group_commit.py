"""Group commit: the writes of all request threads of a process go through one writer.

While one commit is on its way to the disk, the next batch gathers by itself; nobody waits
for a batch to fill. A caller is answered only after the commit that holds his entry. (The
idea is that of the database's own log: DeWitt et al., "Implementation Techniques for Main
Memory Database Systems", SIGMOD 1984.)
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from poolproof import deadlines
from poolproof.core.stats import Histogram
from poolproof.drivers.mysql import errors as mysql_errors
from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from poolproof.runtime.periodic_thread import PeriodicThread

Value = TypeVar("Value")
Result = TypeVar("Result")
Written = TypeVar("Written")

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 500
MAX_WAITING = 5000
UNAVAILABLE_TIMEOUT = 0.5
"""Seconds that a batch is tried again while no server answers; then its callers are told, and may repeat."""
INITIAL_BACKOFF = 0.005
IDLE_INTERVAL = 60.0
DEADLINE_CHECK_INTERVAL = 0.1
"""Seconds between looks for callers whose time is over."""

ResultCallback = Callable[["Result | None", "BaseException | None"], None]


class _Entry(Generic[Value, Result]):
    """One caller's write, and whom to tell how it ended."""

    __slots__ = ("_once", "callback", "deadline", "is_in_batch", "value")

    def __init__(self, value: Value, deadline: float, callback: ResultCallback[Result]) -> None:
        self.value = value
        self.deadline = deadline
        self.is_in_batch = False
        self.callback = callback
        self._once = threading.Lock()

    def is_settled(self) -> bool:
        return self._once.locked()

    def settle(self, result: Result | None, error: BaseException | None) -> None:
        """Tell once; whoever comes second (a commit after the caller's time was over) is not heard."""
        if self._once.acquire(blocking=False):
            try:
                self.callback(result, error)
            except Exception:
                # One caller's mishap must not keep the others from hearing.
                log.exception("A caller could not be told how its write ended")


class GroupCommit(Generic[Value, Result]):
    """A writer with a bounded queue."""

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Value]], Sequence[Result]],
        write_one: Callable[[Value], Result],
        timeout: float,
    ) -> None:
        """Write by `write`: all values and one commit, or an exception and, unless writing twice is harmless, nothing.

        Where that fails, other than for want of a server, each value is written by
        `write_alone`, so that only the guilty one gets its error. Both must be idempotent: a
        commit whose answer was lost is repeated. A caller waits `patience` seconds at most.
        """
        self.name = name
        self._write = write
        self._write_one = write_one
        self._timeout = timeout
        self._thread = PeriodicThread(f"poolproof-{name}", self._drain_queue)
        self._deadline_thread = PeriodicThread(f"poolproof-{name}-clock", self._expire_overdue)
        self._lock = threading.Lock()
        self._queue: deque[_Entry[Value, Result]] = deque()
        self._async_entries: deque[_Entry[Value, Result]] = deque()
        self._is_deadline_thread_active = False
        self.batch_sizes: Counter[int] = Counter()
        """How many batches there were of each size."""
        self.commit_time = Histogram()
        """How long they took."""
        self.refused = 0
        """Callers turned away because too many waited already."""
        _instances.add(self)

    def submit(self, value: Value) -> Result:
        """Write `value` together with others'; return when it is committed.

        Raises:
            PoolQueueFullError: when too many wait already; nothing was done.
            PoolTimeoutError: when it took too long; whether it is written is not known.
            Exception: what `write_alone` raises for this value.
        """
        told: list[tuple[Result | None, BaseException | None]] = []
        signal = threading.Lock()
        signal.acquire()

        def then(result: Result | None, error: BaseException | None) -> None:
            told.append((result, error))
            signal.release()

        entry = self._enqueue(value, then)
        if not signal.acquire(timeout=max(0.0, entry.deadline - time.monotonic())):
            self._expire(entry)
        ((result, error),) = told
        if error is not None:
            raise error
        return cast("Result", result)

    def submit_async(self, value: Value, callback: ResultCallback[Result]) -> None:
        """Write `value` together with others'; call `then(result, error)` when it is committed or has failed.

        It is called once, in another thread, with what `submit` would return or raise; it must not
        take long, others wait behind it.

        Raises:
            PoolQueueFullError: when too many wait already; nothing was done, nothing will be told.
        """
        self._async_entries.append(self._enqueue(value, callback))
        if not self._is_deadline_thread_active:
            self._is_deadline_thread_active = True
            self._deadline_thread.wake()

    def waiting(self) -> int:
        """How many callers' values have not been taken into a batch."""
        return len(self._queue)

    def reset_after_fork(self) -> None:
        """Begin with an empty queue; for a child of fork."""
        self._lock = threading.Lock()
        self._queue = deque()
        self._async_entries = deque()
        self._is_deadline_thread_active = False

    def stop(self) -> None:
        """Finish what was submitted and end the thread; for the end of a worker."""
        self._thread.stop()
        self._drain_queue()
        self._deadline_thread.stop()

    def _enqueue(self, value: Value, callback: ResultCallback[Result]) -> _Entry[Value, Result]:
        ends_at = time.monotonic() + deadlines.clamp(self._timeout)
        entry: _Entry[Value, Result] = _Entry(value, ends_at, callback)
        with self._lock:
            if len(self._queue) >= MAX_WAITING:
                self.refused += 1
                raise PoolQueueFullError(
                    f"{MAX_WAITING} writes of this process wait for their commit, and no more may."
                )
            self._queue.append(entry)
        self._thread.wake()
        return entry

    def _expire(self, entry: _Entry[Value, Result]) -> None:
        with self._lock:
            if not entry.is_in_batch:
                self._queue.remove(entry)
                # The batch that would take it cannot come any more.
                entry.is_in_batch = True
        entry.settle(None, PoolTimeoutError(f"The commit took longer than {self._timeout:g} s."))

    def _expire_overdue(self) -> float:
        """Tell those whose time is over; return when to look again."""
        while self._async_entries and (
            self._async_entries[0].is_settled() or self._async_entries[0].deadline <= time.monotonic()
        ):
            entry = self._async_entries.popleft()
            if not entry.is_settled():
                self._expire(entry)
        if self._async_entries:
            return DEADLINE_CHECK_INTERVAL
        self._is_deadline_thread_active = False
        # Who came in between has seen it watched.
        return DEADLINE_CHECK_INTERVAL if self._async_entries else IDLE_INTERVAL

    def _drain_queue(self) -> float:
        while batch := self._next_batch():
            began = time.monotonic()
            self._commit(batch)
            self.batch_sizes[len(batch)] += 1
            self.commit_time.record(time.monotonic() - began)
        return IDLE_INTERVAL

    def _next_batch(self) -> list[_Entry[Value, Result]]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH_SIZE))]
            for entry in batch:
                entry.is_in_batch = True
        return batch

    def _commit(self, batch: list[_Entry[Value, Result]]) -> None:
        try:
            results = self._write_with_retry(lambda: self._write([entry.value for entry in batch]))
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            if _is_server_error(error):
                for entry in batch:
                    entry.settle(None, error)
            else:
                self._commit_one_by_one(batch)
            return
        for entry, result in zip(batch, results, strict=True):
            entry.settle(result, None)

    def _commit_one_by_one(self, batch: list[_Entry[Value, Result]]) -> None:
        for entry in batch:
            try:
                result = self._write_with_retry(partial(self._write_one, entry.value))
            except Exception as error:  # noqa: BLE001 - it belongs to its caller
                entry.settle(None, error)
            else:
                entry.settle(result, None)

    def _write_with_retry(self, write: Callable[[], Written]) -> Written:
        """Write, and again while it fails for want of a server or of luck, for a short while."""
        ends_at, pause = time.monotonic() + UNAVAILABLE_TIMEOUT, INITIAL_BACKOFF
        while True:
            try:
                return write()
            except SQLAlchemyError as error:
                if not _is_server_error(error) or time.monotonic() + pause > ends_at:
                    raise
                log.info("A batch is tried again: %s", error)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            pause *= 2


def _is_server_error(error: Exception) -> bool:
    """Say whether an error says something about the server, and nothing about a value."""
    return (
        isinstance(error, PoolTimeoutError)
        or mysql_errors.is_unavailable(error)
        or mysql_errors.is_contention(error)
        or mysql_errors.is_too_many_connections(error)
    )


_instances: weakref.WeakSet[GroupCommit[Any, Any]] = weakref.WeakSet()


def _reset_all_after_fork() -> None:
    # In a child of fork: the parent's callers are not there, and one of them may have held the lock.
    for group in list(_instances):
        group.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all_after_fork)


def all_groups() -> list[GroupCommit[Any, Any]]:
    """Return those of this process, by name."""
    return sorted(_instances, key=lambda group: group.name)


def stop_all() -> None:
    """Finish what was submitted in this process; for the end of a worker."""
    for group in list(_instances):
        group.stop()
