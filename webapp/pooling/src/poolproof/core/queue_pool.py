"""A QueuePool that serves in order.

Unlike SQLAlchemy's: waiters are served strictly first come, first served, by direct hand-over, and newcomers never
overtake; a connect that fails, an invalidated or detached connection and a listener that raises wake the next waiter
at once and cost no slot; all times are monotonic.

What is decided under the lock, and how returned connections are handed on, is in `slots`. Connections are opened and
closed outside of the lock.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection

from poolproof.core import rejections
from poolproof.core.codel import CoDel
from poolproof.core.connection_record import MonotonicRecord, check_out, close_all, record_of
from poolproof.core.readable_pool import ReadablePool
from poolproof.core.slots import Action, ActionFor, IdleLoan, Slots
from poolproof.core.stats import PoolStatistics
from poolproof.core.thread_share import ThreadShare
from poolproof.core.wait_queue import Waiter, WaitQueue
from poolproof.leaks.checkout_registry import CheckoutRegistry
from poolproof.leaks.checkouts import current_request


class FairQueuePool(ReadablePool):
    """A bounded pool for threads that serves waiters in order."""

    _sqla_logger_namespace = "sqlalchemy.pool.FairQueuePool"
    """The name of the logger: where applications look for what a pool does."""

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
        self._max_overflow = max_overflow
        self.is_suspended = self._is_disposed = False
        self._timeout = timeout  # type: ignore[assignment]
        self._use_lifo = use_lifo
        self._wait_queue = WaitQueue(max_waiting, shedding)
        self.statistics = statistics
        self.describe_holders: Callable[[], str] = str
        self.checkouts: CheckoutRegistry | None = None
        """Is told of every checkout and return. Called directly: a listener costs more than what it would do."""
        self.is_alive: Callable[[DBAPIConnection, ConnectionPoolEntry], bool] | None = None
        """Is asked about each connection that was idle, before it is lent; one that is not is replaced."""
        self.suspended_wait_share: ThreadShare | None = None
        """In which requests hold a place while they wait for this pool although it is suspended."""
        self._slots = Slots(self._wait_queue)
        self._slots.set_bounds(self._size, self._max_overflow)

    def connect(self) -> PoolProxiedConnection:
        """Check out a connection; see `Pool.connect`."""
        proxy = check_out(self)
        if self.checkouts is not None:
            # After all listeners of the application: what one of them refuses was never lent.
            self.checkouts.record_lent(record_of(proxy))
        return proxy

    def _do_get(self) -> ConnectionPoolEntry:
        waiter = record = surplus = None
        is_refused = False
        slots = self._slots
        with slots.lock:
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
            slots.after_lock(surplus)
        if is_refused:
            raise rejections.queue_full(self)
        if waiter is not None:
            record = self._wait(waiter)
        return record if record is not None else self._connect_in_own_slot()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        slots = self._slots
        slots.returned.append(record)  # type: ignore[arg-type]
        # As `drain_returned` does: this runs once for every return.
        if not slots.lock.acquire(blocking=False):
            slots.drain_returned()
            return
        try:
            surplus = slots.distribute_returned()
        finally:
            slots.lock.release()
        if surplus or slots.returned:
            slots.after_lock(surplus)

    def _create_connection(self) -> MonotonicRecord:
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
        pool.describe_holders, pool.suspended_wait_share = self.describe_holders, self.suspended_wait_share
        pool.checkouts, pool.is_alive = self.checkouts, self.is_alive
        if self._is_disposed and self._slots.pid == os.getpid():
            # Disposed and now replaced: what threads still return to it, or open in it, is not kept.
            with self._slots.lock:
                self._slots.max_idle = 0
                surplus = self._slots.take_surplus()
            self._slots.after_lock(surplus, "disposed")
        return pool.suspend() if self.is_suspended else pool

    def dispose(self) -> None:
        """Close what is idle. The pool may be used again; one that `recreate` has replaced keeps nothing any more."""
        self._is_disposed = True
        with self._slots.lock:
            surplus = [*(self._slots.distribute_returned() or ()), *self._slots.take_all_idle()]
        self._slots.after_lock(surplus, "disposed")
        self.logger.info("Pool disposed. %s", self.status())

    def resize(self, pool_size: int, max_overflow: int | None = None) -> None:
        """Change the size now: waiters get what becomes free, idle connections above it are closed."""
        with self._slots.lock:
            self._size = pool_size
            self._max_overflow = self._max_overflow if max_overflow is None else max_overflow
            self._slots.set_bounds(self._size, self._max_overflow)
            if self.is_suspended:
                self._slots.set_suspended()
            surplus = [*(self._slots.distribute_returned() or ()), *self._slots.take_surplus()]
            self._slots.grant_free()
        self._slots.after_lock(surplus)

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

    @contextmanager
    def borrow_idle(self, action_for: ActionFor[Action]) -> Iterator[IdleLoan[Action] | None]:
        """Take out the longest unused idle connection for which `action_for(record, idle connections)` returns one.

        It counts as lent while the block runs, so the bounds hold meanwhile. Afterwards it is idle again, at its old
        position in the order of use, or the first waiter gets it; it is closed where the block has set `close_reason`
        or raises.
        """
        with self._slots.lock:
            surplus = self._slots.distribute_returned()
            loan = self._slots.borrow_idle(action_for)
        self._slots.after_lock(surplus)
        try:
            yield loan
        except BaseException:
            if loan is not None:
                loan.close_reason = "lost"
            raise
        finally:
            if loan is not None:
                self._end_loan(loan)

    def _end_loan(self, loan: IdleLoan[Any]) -> None:
        if loan.close_reason is not None:
            try:
                close_all([loan.record], loan.close_reason)
            finally:
                self._slots.release(lent=1)
            return
        with self._slots.lock:
            is_idle = self._slots.return_idle(loan.record)
        if is_idle:
            self._slots.after_lock()
        else:
            self._do_return_conn(loan.record)

    def _connect_in_own_slot(self) -> MonotonicRecord:
        try:
            record = self._create_connection()
        except BaseException:
            self._slots.release(lent=1)
            raise
        record.reclaim = self._slots.reclaim
        return record

    def _wait(self, waiter: Waiter) -> MonotonicRecord | None:
        """Return what the waiter was granted: a connection, or None for the right to make one."""
        queue = self._wait_queue
        shed_if_stalled = partial(self._slots.run_locked, queue.shed_if_stalled)
        timeout = math.inf if self._timeout is None else self._timeout
        try:
            with ExitStack() as share:
                if self.is_suspended:
                    self._hold_share(share)
                origin = partial(self._timeout_origin, share)
                waiter.wait(timeout, queue.check_interval(), shed_if_stalled, origin)
        except BaseException:
            # KeyboardInterrupt or the like while waiting: what was granted in this moment goes to the next waiter.
            self._slots.run_locked(queue.remove, waiter)
            if waiter.granted and waiter.record is not None:
                self._do_return_conn(waiter.record)
            elif waiter.granted:
                self._slots.release(lent=1)
            raise
        if not waiter.granted:
            self._slots.run_locked(queue.remove, waiter)
        waited = time.monotonic() - waiter.since
        if waiter.granted:
            if self.statistics is not None:
                self.statistics.record_wait(waited)
            return waiter.record
        raise rejections.shed(self, waited) if waiter.rejected else rejections.timed_out(self, waited)

    def _timeout_origin(self, share: ExitStack) -> float:
        if self.is_suspended:
            self._hold_share(share)
        return self._wait_queue.timeout_origin()

    def _hold_share(self, share: ExitStack) -> None:
        # A request keeps its thread while the pool is suspended. One that had waited before goes on without a place
        # until its time-out; then it has one or ends.
        if self.suspended_wait_share is not None and current_request.get() is not None:
            share.enter_context(self.suspended_wait_share.hold())
