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
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from poolproof import deadlines
from poolproof.core.stats import Histogram
from poolproof.drivers.errors import TransientCause, is_transient, transient_cause
from poolproof.errors import PoolTimeoutError
from poolproof.runtime import fork
from poolproof.runtime.backoff import Backoff
from poolproof.runtime.periodic_thread import PeriodicThread
from poolproof.transactions.commit_queue import CommitQueue, Entry, ResultCallback

Value = TypeVar("Value")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

UNAVAILABLE_TIMEOUT = 0.5
"""Seconds for which a batch is retried while no server answers; then its callers get the error, and may repeat."""
INITIAL_BACKOFF = 0.005
IDLE_INTERVAL = 60.0
DEADLINE_CHECK_INTERVAL = 0.1
"""Seconds between checks for entries whose deadline has passed."""


class EntryBlockedError(Exception):
    """A value was not written, because another session holds its rows: it goes into a later batch."""


class GroupCommit(Generic[Value, Result]):
    """A writer with a bounded queue. Its threads end when nobody refers to it any more."""

    def __init__(
        self, name: str, write: Callable[[Sequence[Value]], Sequence[Result | Exception]], timeout: float
    ) -> None:
        """Write a batch with `write`, which returns the outcome of each value: its result, or its error.

        All values that got a result are committed then. An `EntryBlockedError` as outcome puts the value into a later
        batch. Where `write` raises, it has written none of the values: the batch is written again for a short while if
        the cause is transient, and in two halves otherwise, so that at last only the value at fault gets the error.
        `write` must be idempotent: a commit whose reply was lost is repeated. A caller waits for `timeout` seconds at
        most.
        """
        self.name = name
        self._write = write
        self._timeout = timeout
        # The threads refer to the group weakly, so that a group that was discarded does not live on in them.
        self._thread = PeriodicThread(f"poolproof-{name}", _weakly(self._write_queue))
        self._deadline_thread = PeriodicThread(f"poolproof-{name}-clock", _weakly(self._expire_overdue))
        for thread in (self._thread, self._deadline_thread):
            weakref.finalize(self, thread.request_stop).atexit = False
        self._reset_queue()
        self.batch_sizes: Counter[int] = Counter()
        """How many batches there were of each size."""
        self.commit_time = Histogram()
        """How long they took."""
        _instances.add(self)
        fork.track(self, fork.Phase.THREADS)

    def submit(self, value: Value) -> Result:
        """Write `value` together with those of other callers; return when it is committed.

        Raises:
            PoolQueueFullError: when too many wait already; nothing was done.
            PoolTimeoutError: when it took too long; whether it is written is not known.
            Exception: the outcome of this value, or what `write` raises for this value alone.
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
            # Whoever settles an entry releases the signal: this thread just has, or the writer is about to.
            signal.acquire()
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
        entry = self._enqueue(value, callback)
        if self._queue.track_deadline(entry):
            self._deadline_thread.wake()

    def write_one(self, value: Value) -> Result:
        """Write `value` in this thread, with a commit of its own.

        Raises:
            Exception: what `submit` raises.
        """
        ends_at, backoff = time.monotonic() + deadlines.clamp(self._timeout), Backoff(INITIAL_BACKOFF)
        while True:
            (outcome,) = self._write_with_retry([value])
            if not isinstance(outcome, Exception):
                return outcome
            if not isinstance(outcome, EntryBlockedError):
                raise outcome
            if time.monotonic() + backoff.planned > ends_at:
                raise self._timeout_error() from outcome
            backoff.sleep()

    @property
    def refused(self) -> int:
        """How many values were rejected because too many waited already."""
        return self._queue.refused

    def waiting(self) -> int:
        """How many values are not in a batch yet."""
        return len(self._queue)

    def reset_after_fork(self) -> None:
        """Begin with an empty queue: the callers are the parent's, and one of them may have held a lock."""
        self._reset_queue()
        _unfinished.discard(self)

    def stop(self) -> None:
        """Finish what was submitted and end the threads; for the end of a worker.

        A writer that is still busy after some seconds finishes the queue by itself: there is never a second one.
        """
        self._thread.stop()
        # A thread that has not ended holds the lock, and writes what is left.
        if self._writing.acquire(blocking=False):
            try:
                self._finish_queue()
            finally:
                self._writing.release()
        self._deadline_thread.stop()

    def _reset_queue(self) -> None:
        self._queue: CommitQueue[Value, Result] = CommitQueue()
        # Held by the one thread that writes.
        self._writing = threading.Lock()

    def _enqueue(self, value: Value, callback: ResultCallback[Result]) -> Entry[Value, Result]:
        ends_at = time.monotonic() + deadlines.clamp(self._timeout)
        entry: Entry[Value, Result] = Entry(value, ends_at, callback)
        _unfinished.add(self)
        self._queue.append(entry)
        self._thread.wake()
        return entry

    def _expire(self, entry: Entry[Value, Result]) -> None:
        self._queue.withdraw(entry)
        entry.settle(None, self._timeout_error())

    def _timeout_error(self) -> PoolTimeoutError:
        return PoolTimeoutError(f"The commit took longer than {self._timeout:g} s.")

    def _expire_overdue(self) -> float:
        """Settle entries whose deadline has passed; return after how many seconds to check again."""
        overdue, has_more = self._queue.take_overdue()
        for entry in overdue:
            self._expire(entry)
        return DEADLINE_CHECK_INTERVAL if has_more else IDLE_INTERVAL

    def _write_queue(self) -> float:
        """Write batch after batch until nothing is due; return after how many seconds something will be."""
        with self._writing:
            return self._drain_queue()

    def _drain_queue(self) -> float:
        while batch := self._queue.next_batch():
            started_at = time.monotonic()
            self._commit(batch)
            self.batch_sizes[len(batch)] += 1
            self.commit_time.record(time.monotonic() - started_at)
        _unfinished.discard(self)
        if self._queue:
            # Something was appended before the discard, or is blocked.
            _unfinished.add(self)
        return self._queue.pause(IDLE_INTERVAL)

    def _finish_queue(self) -> None:
        """Write all that is left, also what is blocked, as long as its callers wait."""
        ends_at = time.monotonic() + self._timeout
        while (pause := self._drain_queue()) < IDLE_INTERVAL and time.monotonic() < ends_at:
            time.sleep(pause)

    def _commit(self, batch: list[Entry[Value, Result]]) -> None:
        try:
            outcomes = self._write_with_retry([entry.value for entry in batch])
        except Exception as error:  # noqa: BLE001 - it is passed to the callers
            self._divide(batch, error)
            return
        blocked = []
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, EntryBlockedError):
                blocked.append(entry)
            elif isinstance(outcome, Exception):
                entry.settle(None, outcome)
            else:
                entry.settle(outcome, None)
        self._queue.block(blocked)

    def _divide(self, batch: list[Entry[Value, Result]], error: Exception) -> None:
        """Write a batch that has failed in halves, unless that could not help."""
        if len(batch) == 1 or _concerns_all(error):
            for entry in batch:
                entry.settle(None, error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            # Those whose deadline has passed meanwhile were told so.
            if waiting := [entry for entry in half if not entry.is_settled()]:
                self._commit(waiting)

    def _write_with_retry(self, values: Sequence[Value]) -> Sequence[Result | Exception]:
        """Write, and again while it fails for a transient reason, for `UNAVAILABLE_TIMEOUT` seconds."""
        ends_at, backoff = time.monotonic() + UNAVAILABLE_TIMEOUT, Backoff(INITIAL_BACKOFF)
        while True:
            try:
                return self._write(values)
            except SQLAlchemyError as error:
                if not _is_retryable(error) or time.monotonic() + backoff.planned > ends_at:
                    raise
                log.info("A batch is tried again: %s", error)
            backoff.sleep()


def _weakly(method: Callable[[], float]) -> Callable[[], float]:
    reference = weakref.WeakMethod(method)

    def task() -> float:
        found = reference()
        return IDLE_INTERVAL if found is None else found()

    return task


def _is_retryable(error: Exception) -> bool:
    # Any transient cause, also a lost connection: every write is idempotent here, by the contract of `write`. A full
    # pool is as transient as a full server.
    return isinstance(error, PoolTimeoutError) or is_transient(error)


def _concerns_all(error: Exception) -> bool:
    """Say whether an error would meet each value alone, too; a row that is locked is the matter of one value."""
    return _is_retryable(error) and transient_cause(error) is not TransientCause.CONTENTION


_instances: weakref.WeakSet[GroupCommit[Any, Any]] = weakref.WeakSet()
_unfinished: set[GroupCommit[Any, Any]] = set()
"""Groups that have something to write: kept alive until it is written."""


def all_groups() -> list[GroupCommit[Any, Any]]:
    """Return the group commits of this process, by name."""
    return sorted(_instances, key=lambda group: group.name)


def stop_all() -> None:
    """Finish what was submitted in this process; for the end of a worker."""
    for group in list(_instances):
        group.stop()
