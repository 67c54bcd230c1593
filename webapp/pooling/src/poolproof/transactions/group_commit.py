"""Group commit: the writes of all request threads of a process go through one writer.

While one commit is on its way to the disk, the next batch accumulates; no caller waits for a batch to fill. A caller
gets its result only after the commit that contains its entry. (The idea is that of a database's own log: DeWitt et al.,
"Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.)
"""

from __future__ import annotations

import logging
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
from poolproof.drivers.mysql.errors import is_transient
from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from poolproof.runtime import fork
from poolproof.runtime.backoff import Backoff
from poolproof.runtime.periodic_thread import PeriodicThread

Value = TypeVar("Value")
Result = TypeVar("Result")
Written = TypeVar("Written")

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 500
MAX_WAITING = 5000
UNAVAILABLE_TIMEOUT = 0.5
"""Seconds for which a batch is retried while no server answers; then its callers get the error, and may repeat."""
INITIAL_BACKOFF = 0.005
IDLE_INTERVAL = 60.0
DEADLINE_CHECK_INTERVAL = 0.1
"""Seconds between checks for entries whose deadline has passed."""

ResultCallback = Callable[["Result | None", "BaseException | None"], None]


class _Entry(Generic[Value, Result]):
    """One caller's write, and the callback that gets its outcome."""

    __slots__ = ("_settled", "callback", "deadline", "is_in_batch", "value")

    def __init__(self, value: Value, deadline: float, callback: ResultCallback[Result]) -> None:
        self.value = value
        self.deadline = deadline
        self.is_in_batch = False
        self.callback = callback
        self._settled = threading.Lock()

    def is_settled(self) -> bool:
        return self._settled.locked()

    def settle(self, result: Result | None, error: BaseException | None) -> None:
        """Call the callback, once: a commit that ends after the caller's deadline has no effect here."""
        if self._settled.acquire(blocking=False):
            try:
                self.callback(result, error)
            except Exception:
                # An error in one caller's callback must not keep the others from being called.
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
        """Write a batch with `write`: it writes all values with one commit, or raises and has written none of them.

        Where it raises, and the cause is not transient, each value is written with `write_one`, so that only the value
        at fault gets its error. Both must be idempotent: a commit whose reply was lost is repeated. A caller waits for
        `timeout` seconds at most.
        """
        self.name = name
        self._write = write
        self.write_one = write_one
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
        """Values rejected because too many waited already."""
        _instances.add(self)
        fork.track(self, fork.Phase.THREADS)

    def submit(self, value: Value) -> Result:
        """Write `value` together with those of other callers; return when it is committed.

        Raises:
            PoolQueueFullError: when too many wait already; nothing was done.
            PoolTimeoutError: when it took too long; whether it is written is not known.
            Exception: what `write_one` raises for this value.
        """
        outcome: list[tuple[Result | None, BaseException | None]] = []
        signal = threading.Lock()
        signal.acquire()

        def on_settled(result: Result | None, error: BaseException | None) -> None:
            outcome.append((result, error))
            signal.release()

        entry = self._enqueue(value, on_settled)
        if not signal.acquire(timeout=max(0.0, entry.deadline - time.monotonic())):
            self._expire(entry)
        ((result, error),) = outcome
        if error is not None:
            raise error
        return cast("Result", result)

    def submit_async(self, value: Value, callback: ResultCallback[Result]) -> None:
        """Write `value` together with those of others; call `callback(result, error)` when that is done or has failed.

        It is called once, in another thread, with what `submit` would return or raise. It must not take long: other
        callbacks wait behind it.

        Raises:
            PoolQueueFullError: when too many wait already; nothing was done, `callback` is not called.
        """
        self._async_entries.append(self._enqueue(value, callback))
        # After the append: a thread that turns the flag off looks at the entries once more (`_expire_overdue`).
        if not self._is_deadline_thread_active:
            self._is_deadline_thread_active = True
            self._deadline_thread.wake()

    def waiting(self) -> int:
        """How many values are not in a batch yet."""
        return len(self._queue)

    def reset_after_fork(self) -> None:
        """Begin with an empty queue: the callers are the parent's, and one of them may have held the lock."""
        self._lock = threading.Lock()
        self._queue = deque()
        self._async_entries = deque()
        self._is_deadline_thread_active = False

    def stop(self) -> None:
        """Finish what was submitted and end the threads; for the end of a worker."""
        self._thread.stop()
        self._drain_queue()
        self._deadline_thread.stop()

    def _enqueue(self, value: Value, callback: ResultCallback[Result]) -> _Entry[Value, Result]:
        ends_at = time.monotonic() + deadlines.clamp(self._timeout)
        entry: _Entry[Value, Result] = _Entry(value, ends_at, callback)
        with self._lock:
            # Decided inside: whether there is room. The writer is woken outside, so that it does not meet the lock.
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
                # Marked, so that a second expiry does not look for it in the queue again.
                entry.is_in_batch = True
        entry.settle(None, PoolTimeoutError(f"The commit took longer than {self._timeout:g} s."))

    def _expire_overdue(self) -> float:
        """Settle entries whose deadline has passed; return after how many seconds to check again."""
        while self._async_entries and (
            self._async_entries[0].is_settled() or self._async_entries[0].deadline <= time.monotonic()
        ):
            entry = self._async_entries.popleft()
            if not entry.is_settled():
                self._expire(entry)
        if self._async_entries:
            return DEADLINE_CHECK_INTERVAL
        self._is_deadline_thread_active = False
        # An entry queued meanwhile saw the flag set and did not wake this thread.
        return DEADLINE_CHECK_INTERVAL if self._async_entries else IDLE_INTERVAL

    def _drain_queue(self) -> float:
        while batch := self._next_batch():
            started_at = time.monotonic()
            self._commit(batch)
            self.batch_sizes[len(batch)] += 1
            self.commit_time.record(time.monotonic() - started_at)
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
        except Exception as error:  # noqa: BLE001 - it is passed to the callers
            if _is_retryable(error):
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
                result = self._write_with_retry(partial(self.write_one, entry.value))
            except Exception as error:  # noqa: BLE001 - it is passed to its caller
                entry.settle(None, error)
            else:
                entry.settle(result, None)

    def _write_with_retry(self, write: Callable[[], Written]) -> Written:
        """Write, and again while it fails for a transient reason, for `UNAVAILABLE_TIMEOUT` seconds."""
        ends_at, backoff = time.monotonic() + UNAVAILABLE_TIMEOUT, Backoff(INITIAL_BACKOFF)
        while True:
            try:
                return write()
            except SQLAlchemyError as error:
                if not _is_retryable(error) or time.monotonic() + backoff.planned > ends_at:
                    raise
                log.info("A batch is tried again: %s", error)
            backoff.sleep()


def _is_retryable(error: Exception) -> bool:
    # Any transient cause, also a lost connection: every write is idempotent here, by the contract of `write`. A full
    # pool is as transient as a full server.
    return isinstance(error, PoolTimeoutError) or is_transient(error)


_instances: weakref.WeakSet[GroupCommit[Any, Any]] = weakref.WeakSet()


def all_groups() -> list[GroupCommit[Any, Any]]:
    """Return the group commits of this process, by name."""
    return sorted(_instances, key=lambda group: group.name)


def stop_all() -> None:
    """Finish what was submitted in this process; for the end of a worker."""
    for group in list(_instances):
        group.stop()
