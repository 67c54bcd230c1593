"""A QueuePool that serves in order.

Unlike SQLAlchemy's: waiters are served strictly first come, first served, by direct hand-over, and newcomers never
overtake; a connect that fails, an invalidated or detached connection and a listener that raises wake the next waiter
at once and cost no slot; all times are monotonic.

`_lock` protects `_slots` and `_wait_queue`. A returned connection is appended to `Slots.returned`, which needs no lock;
the thread that holds `_lock`, or takes it next, hands it on. A return never waits for the lock, because it may happen
inside a garbage collection that began in the very thread that holds it; so a thread that releases the lock looks at
`returned` again. Connections are opened and closed outside of the lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection, QueuePool

from poolproof import deadlines, errors, event_log
from poolproof.core.codel import CoDel
from poolproof.core.connection_record import MonotonicRecord, close_all
from poolproof.core.slots import Action, Slots
from poolproof.core.stats import PoolStatistics
from poolproof.core.wait_queue import Waiter, WaitQueue
from poolproof.errors import PoolQueueFullError, PoolShedError, PoolTimeoutError


class FairQueuePool(QueuePool):
    """A bounded pool for threads that serves waiters in order."""

    def __init__(  # noqa: PLR0917 - QueuePool's signature
        self,
        creator: Any,
        pool_size: int = 5,
        max_overflow: int = 0,
        timeout: float | None = 30.0,
        use_lifo: bool = True,  # noqa: FBT001, FBT002 - QueuePool's signature
        max_waiting: int | None = None,
        shedding: CoDel | None = None,
        statistics: PoolStatistics | None = None,
        **kw: Any,
    ) -> None:
        """Make an empty pool; see QueuePool for what is not described here.

        `pool_size` connections are kept (0: no limit), `max_overflow` more are closed on return (-1: no limit). A
        thread waits for `timeout` seconds at most (None: for ever); `max_waiting` may wait, the next is rejected at
        once (None: any number). `shedding` rejects waiters early in an overload (None: never); `statistics` counts what
        happens and is passed on to the pools that `recreate` makes (None: no counts). With `use_lifo` the connection
        that was returned last is lent first.
        """
        Pool.__init__(self, creator, **kw)
        self._size = pool_size
        self._max_overflow = -1 if pool_size == 0 else max_overflow
        self.is_suspended = False
        self._timeout = timeout  # type: ignore[assignment]
        self._use_lifo = use_lifo
        self._wait_queue = WaitQueue(max_waiting, shedding)
        self.statistics = statistics
        self.describe_holders: Callable[[], str] = str
        self._slots = Slots(self._wait_queue)
        self._slots.set_bounds(self._size, self._max_overflow)
        self._lock = threading.Lock()

    def _do_get(self) -> ConnectionPoolEntry:
        waiter = record = surplus = None
        is_refused = False
        slots = self._slots
        with self._lock:
            # Decided inside: an idle connection, a free slot, or a place in the queue. Outside: connecting and waiting.
            if slots.returned:
                surplus = slots.distribute_returned()
            if slots.idle:
                record = slots.idle.pop() if self._use_lifo else slots.idle.popleft()
            elif slots.total + slots.closing < slots.limit:
                slots.total += 1
            elif self._wait_queue.is_full():
                is_refused = True
            else:
                waiter = self._wait_queue.enqueue()
        if surplus or slots.returned:
            self._after_lock(surplus)
        if is_refused:
            raise self._reject(PoolQueueFullError, "refused", f"{self.waiting()} already wait, no more may")
        if waiter is not None:
            record = self._wait(waiter)
        return record if record is not None else self._connect_in_own_slot()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._slots.returned.append(record)
        self._drain_returned()

    def _create_connection(self) -> ConnectionPoolEntry:
        return MonotonicRecord(self, self.statistics)

    def _invalidate(
        self,
        connection: PoolProxiedConnection,
        exception: BaseException | None = None,
        _checkin: bool = True,  # noqa: FBT001, FBT002 - Pool's signature
    ) -> None:
        record = getattr(connection, "_connection_record", None)
        if record is None or self._invalidate_time < record.starttime:
            self._invalidate_time = time.monotonic()
        if _checkin and connection.is_valid:
            connection.invalidate(exception)

    def recreate(self) -> Self:
        """Return an empty pool with the same arguments."""
        self.logger.info("Pool recreating")
        pool = self.__class__(
            self._creator, pool_size=self._size, max_overflow=self._max_overflow, timeout=self._timeout,
            use_lifo=self._use_lifo, max_waiting=self._wait_queue.max_waiting,
            shedding=self._wait_queue.shedding and self._wait_queue.shedding.fresh_copy(), statistics=self.statistics,
            pre_ping=self._pre_ping, recycle=self._recycle, echo=self.echo, logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return, _dispatch=self.dispatch, dialect=self._dialect,
        )  # fmt: skip
        pool.describe_holders = self.describe_holders
        return pool.suspend() if self.is_suspended else pool

    def dispose(self) -> None:
        """Close what is idle; what is lent is closed when it comes back, unless another thread waits for it."""
        with self._lock:
            # With no idle connection allowed, a connection that is returned later is closed as well.
            self._slots.max_idle = 0
            surplus = [*(self._slots.distribute_returned() or ()), *self._slots.take_surplus()]
        self._after_lock(surplus, "disposed")
        self.logger.info("Pool disposed. %s", self.status())

    def resize(self, pool_size: int, max_overflow: int | None = None) -> None:
        """Change the size now: waiters get what becomes free, idle connections above it are closed."""
        with self._lock:
            self._size = pool_size
            overflow = self._max_overflow if max_overflow is None else max_overflow
            self._max_overflow = -1 if pool_size == 0 else overflow
            self._slots.set_bounds(self._size, self._max_overflow)
            if self.is_suspended:
                self._slots.limit = self._slots.max_idle = 0
            surplus = [*(self._slots.distribute_returned() or ()), *self._slots.take_surplus()]
            self._slots.grant_free()
        self._after_lock(surplus)

    def suspend(self) -> Self:
        """Lend no connection until `resume`: waiters keep waiting, idle connections are closed. Return the pool."""
        self.is_suspended = True
        self._wait_queue.suspend()
        self.resize(self._size)
        return self

    def resume(self) -> None:
        """Lend again."""
        self.is_suspended = False
        self._wait_queue.resume()
        self.resize(self._size)

    def borrow_idle(
        self, action_for: Callable[[MonotonicRecord, int], Action | None]
    ) -> tuple[MonotonicRecord, Action] | None:
        """Take the longest unused idle connection for which `action_for(record, idle connections)` returns an action.

        It counts as lent until `return_idle` or `evict`, so the bounds hold meanwhile.
        """
        with self._lock:
            surplus = self._slots.distribute_returned()
            due = self._slots.borrow_idle(action_for)
        self._after_lock(surplus)
        return due

    def return_idle(self, record: MonotonicRecord) -> None:
        """Return what `borrow_idle` took, at its old position in the order of use; the first waiter gets it at once."""
        with self._lock:
            is_idle = self._slots.return_idle(record)
        if is_idle:
            self._after_lock()
        else:
            self._do_return_conn(record)

    def evict(self, record: MonotonicRecord, reason: str) -> None:
        """Close what `borrow_idle` took; then its slot is free for the first waiter."""
        close_all([record], reason)
        self._release_slots(lent=1)

    def size(self) -> int:
        """Connections that are kept."""
        return self._size

    def checkedin(self) -> int:
        """Connections that are idle."""
        return len(self._slots.idle) + len(self._slots.returned)

    def checkedout(self) -> int:
        """Connections that are lent or being made."""
        return self._slots.total - self.checkedin()

    def overflow(self) -> int:
        """Connections above the size; negative while there are fewer."""
        return self._slots.total - self._size if self._size else 0

    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._wait_queue.waiters)

    def waiters(self) -> list[Waiter]:
        """Return those that wait, the first in the queue first."""
        return list(self._wait_queue.waiters.copy())

    def is_overloaded(self) -> bool:
        """Say whether waits have been too long for a while, so that some are rejected."""
        return self._wait_queue.shedding is not None and self._wait_queue.shedding.is_overloaded

    def oldest_wait(self) -> float:
        """How long the first in the queue has waited, in seconds; 0.0 when none waits."""
        return self._wait_queue.oldest_wait()

    def limit(self) -> float:
        """How many connections there may be now; infinity where there is no limit."""
        return self._slots.limit

    def max_idle(self) -> float:
        """How many connections may be idle."""
        return self._slots.max_idle

    def status(self) -> str:
        """Return the pool's state in QueuePool's format, and how many threads wait."""
        return f"{super().status()} Waiting: {self.waiting()}"

    def _drain_returned(self) -> None:
        # Not blocking: a thread that holds the lock looks at `returned` again after it has released it.
        while self._slots.returned and self._lock.acquire(blocking=False):
            try:
                surplus = self._slots.distribute_returned()
            finally:
                self._lock.release()
            if surplus:
                self._close(surplus, "surplus")

    def _after_lock(self, surplus: list[ConnectionPoolEntry] | None = None, reason: str = "surplus") -> None:
        if self._slots.returned:
            self._drain_returned()
        if surplus:
            self._close(surplus, reason)

    def _close(self, surplus: list[ConnectionPoolEntry], reason: str) -> None:
        # A slot is free only when its connection is closed: the server counts it until then.
        try:
            close_all(surplus, reason)
        finally:
            self._release_slots(closed=len(surplus))

    def _connect_in_own_slot(self) -> ConnectionPoolEntry:
        try:
            return self._create_connection()
        except BaseException:
            self._release_slots(lent=1)
            raise

    def _release_slots(self, lent: int = 0, closed: int = 0) -> None:
        with self._lock:
            self._slots.release(lent, closed)
        self._after_lock()

    def _wait(self, waiter: Waiter) -> ConnectionPoolEntry | None:
        """Return what the waiter was granted: a connection, or None for the right to make one."""
        queue = self._wait_queue
        shed_if_stalled = partial(self._run_locked, queue.shed_if_stalled)
        try:
            waiter.wait(deadlines.clamp(self._timeout), queue.check_interval(), shed_if_stalled, queue.timeout_origin)
        except BaseException:
            # KeyboardInterrupt or the like while waiting: what was granted in this moment goes to the next waiter.
            self._run_locked(queue.remove, waiter)
            if waiter.granted and waiter.record is not None:
                self._do_return_conn(waiter.record)
            elif waiter.granted:
                self._release_slots(lent=1)
            raise
        if not waiter.granted:
            self._run_locked(queue.remove, waiter)
        waited = time.monotonic() - waiter.since
        if waiter.granted:
            if self.statistics is not None:
                self.statistics.record_wait(waited)
            return waiter.record
        if waiter.rejected:
            detail = f"even the shortest wait is too long; rejected after {waited:.2f} s"
            raise self._reject(PoolShedError, "shed", detail)
        raise self._reject(PoolTimeoutError, "timeout", f"none came back within {waited:.2f} s")

    def _run_locked(self, operation: Callable[..., None], *arguments: Waiter) -> None:
        with self._lock:
            operation(*arguments)
        self._after_lock()

    def _reject(self, error_class: type[PoolTimeoutError], reason: str, detail: str) -> PoolTimeoutError:
        if self.statistics is not None:
            self.statistics.record_rejected(reason)
        event_log.record_throttled(reason, f"A full pool rejected requests: {detail}.")
        return error_class(errors.exhausted_message(detail, self._slots.limit, self))
