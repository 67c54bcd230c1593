"""A QueuePool that serves in order.

Unlike SQLAlchemy's: waiters are served strictly first come, first served, by direct hand-over, and newcomers never
overtake; a connect that fails, an invalidated or detached connection and a listener that raises wake the next waiter
at once and cost no slot; all times are monotonic.

How the state is kept. `_total` counts the slots in use: idle, lent, and being connected; `_closing` those whose
connection is not closed yet. Idle connections and waiters never exist at the same time. What is returned goes into
`_returned`, which needs no lock; whoever holds or next takes `_lock` puts it in its place. A return never waits for
that lock, because it may happen inside a garbage collection that began in the very thread that holds it. Whoever lets
go of the lock looks again. Connections are made and closed outside of the lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection, QueuePool

from webapp.pooling import deadlines, errors, events
from webapp.pooling.errors import PoolQueueFullError, PoolShedError, PoolTimeoutError
from webapp.pooling.record import MonotonicRecord, close_all
from webapp.pooling.shedding import CoDel
from webapp.pooling.statistics import PoolStatistics
from webapp.pooling.waiters import Waiter, WaitQueue


class FairQueuePool(QueuePool):
    """A bounded pool, fair to those who wait; for threads."""

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
        """Make an empty pool; see QueuePool for what is not said here.

        `pool_size` connections are kept (0: no limit), `max_overflow` more are closed on return (-1: no limit). A
        borrower waits for `timeout` seconds at most (None: for ever); `max_waiting` may wait, the next is refused
        at once (None: any number). `shedding` turns waiters away when the pool is too slow for all (None: nobody
        is); `statistics` counts what happens and is shared with those that `recreate` makes (None: nobody counts).
        With `use_lifo` the connection that was returned last is lent first.
        """
        Pool.__init__(self, creator, **kw)
        self._size = pool_size
        self._max_overflow = -1 if pool_size == 0 else max_overflow
        self.is_suspended = False
        self._limit, self._max_idle = self.bounds()
        self._timeout = timeout  # type: ignore[assignment]
        self._use_lifo = use_lifo
        self._wait_queue = WaitQueue(max_waiting, shedding)
        self.statistics = statistics
        self.describe_holders: Callable[[], str] = str
        self._total = self._closing = 0
        self._idle, self._returned = deque[ConnectionPoolEntry](), deque[ConnectionPoolEntry]()
        self._lock = threading.Lock()

    def _do_get(self) -> ConnectionPoolEntry:
        waiter = record = surplus = None
        refused = False
        with self._lock:
            if self._returned:
                surplus = self._distribute_returned()
            if self._idle:
                record = self._idle.pop() if self._use_lifo else self._idle.popleft()
            elif self._total + self._closing < self._limit:
                self._total += 1
            elif self._wait_queue.is_full():
                refused = True
            else:
                waiter = self._wait_queue.enqueue()
        if surplus or self._returned:
            self._after_lock(surplus)
        if refused:
            raise self._reject(PoolQueueFullError, "refused", f"{self.waiting()} already wait, no more may")
        if waiter is not None:
            record = self._wait(waiter)
        return record if record is not None else self._connect_in_own_slot()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._returned.append(record)
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

    def recreate(self) -> FairQueuePool:
        """Return an empty pool with the same arguments."""
        self.logger.info("Pool recreating")
        pool = self.__class__(
            self._creator,
            pool_size=self._size,
            max_overflow=self._max_overflow,
            timeout=self._timeout,
            use_lifo=self._use_lifo,
            max_waiting=self._wait_queue.max_waiting,
            shedding=self._wait_queue.shedding and self._wait_queue.shedding.fresh_copy(),
            statistics=self.statistics,
            pre_ping=self._pre_ping,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            _dispatch=self.dispatch,
            dialect=self._dialect,
        )
        pool.describe_holders = self.describe_holders
        pool.pause(is_paused=self.is_suspended)
        return pool

    def dispose(self) -> None:
        """Close what is idle; what is lent is closed when it comes back, unless somebody waits for it."""
        with self._lock:
            self._max_idle = 0
            surplus = [*(self._distribute_returned() or ()), *self._idle]
            self._total -= len(self._idle)
            self._closing += len(self._idle)
            self._idle.clear()
        self._after_lock(surplus, "disposed")
        self.logger.info("Pool disposed. %s", self.status())

    def resize(self, pool_size: int, max_overflow: int | None = None) -> None:
        """Change the size now: waiters get what becomes free, idle connections above it are closed."""
        with self._lock:
            self._size = pool_size
            overflow = self._max_overflow if max_overflow is None else max_overflow
            self._max_overflow = -1 if pool_size == 0 else overflow
            self._limit, self._max_idle = self.bounds()
            surplus = self._distribute_returned() or []
            while self._idle and (self._total > self._limit or len(self._idle) > self._max_idle):
                surplus.append(self._idle.popleft())
                self._total, self._closing = self._total - 1, self._closing + 1
            self._grant_free_slots()
        self._after_lock(surplus)

    def pause(self, *, is_paused: bool = True) -> None:
        """Lend nothing until it is told to go on; whoever waits goes on waiting, idle connections are closed."""
        self.is_suspended = is_paused
        self._wait_queue.pause(is_paused=is_paused)
        self.resize(self._size)

    def size(self) -> int:
        """Connections that are kept."""
        return self._size

    def checkedin(self) -> int:
        """Connections that are idle."""
        return len(self._idle) + len(self._returned)

    def checkedout(self) -> int:
        """Connections that are lent or being made."""
        return self._total - self.checkedin()

    def overflow(self) -> int:
        """Connections above the size; negative while there are fewer."""
        return self._total - self._size if self._size else 0

    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._wait_queue.waiters)

    def oldest_wait(self) -> float:
        """How long the first in the queue has waited, in seconds; 0.0 when nobody does."""
        return self._wait_queue.oldest_wait()

    def status(self) -> str:
        """Say the pool's state in QueuePool's words, and how many wait."""
        return f"{super().status()} Waiting: {self.waiting()}"

    # Under the lock.

    def bounds(self) -> tuple[float, float]:
        """Return how many connections there may be, and how many of them idle."""
        if self.is_suspended:
            return 0, 0
        most = math.inf if self._max_overflow == -1 else self._size + self._max_overflow
        return most, self._size or math.inf

    def _distribute_returned(self) -> list[ConnectionPoolEntry] | None:
        """Hand what came back to whoever is first; return what has to be closed."""
        surplus: list[ConnectionPoolEntry] | None = None
        while self._returned:
            record = self._returned.popleft()
            if (
                self._wait_queue.waiters
                and self._total <= self._limit
                and (waiter := self._wait_queue.pop()) is not None
            ):
                waiter.grant(record)
            elif self._total <= self._limit and len(self._idle) < self._max_idle:
                self._idle.append(record)
                self._wait_queue.on_idle()
            else:
                self._total, self._closing = self._total - 1, self._closing + 1
                surplus = [*(surplus or ()), record]
        return surplus

    def _grant_free_slots(self) -> None:
        while self._total + self._closing < self._limit and (waiter := self._wait_queue.pop()) is not None:
            self._total += 1
            waiter.grant(None)

    # Outside of the lock.

    def _drain_returned(self) -> None:
        # Not blocking: if somebody holds the lock, he looks again after letting go of it.
        while self._returned and self._lock.acquire(blocking=False):
            try:
                surplus = self._distribute_returned()
            finally:
                self._lock.release()
            if surplus:
                self._close(surplus, "surplus")

    def _after_lock(self, surplus: list[ConnectionPoolEntry] | None = None, reason: str = "surplus") -> None:
        if self._returned:
            self._drain_returned()
        if surplus:
            self._close(surplus, reason)

    def _close(self, surplus: list[ConnectionPoolEntry], reason: str) -> None:
        # Their slots are free when the server has let go of them, not before: it counts them until then.
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
            self._total, self._closing = self._total - lent, self._closing - closed
            self._grant_free_slots()
        self._after_lock()

    def _wait(self, waiter: Waiter) -> ConnectionPoolEntry | None:
        """Return what the waiter was granted: a connection, or None for the right to make one."""
        try:
            step = self._wait_queue.shedding.interval if self._wait_queue.shedding is not None else math.inf
            longest = deadlines.clamp(self._timeout)
            waiter.wait(
                longest,
                step,
                lambda: self._run_locked(self._wait_queue.shed_if_stalled),
                self._wait_queue.timeout_origin,
            )
        except BaseException:
            # Ctrl-C or the like while waiting: what was granted in the same moment goes to the next.
            self._run_locked(self._wait_queue.remove, waiter)
            if waiter.granted:
                self._hand_on(waiter)
            raise
        if not waiter.granted:
            self._run_locked(self._wait_queue.remove, waiter)
        waited = time.monotonic() - waiter.since
        if waiter.granted:
            if self.statistics is not None:
                self.statistics.record_wait(waited)
            return waiter.record
        if waiter.rejected:
            trouble = f"even the shortest wait is too long; turned away after {waited:.2f} s"
            raise self._reject(PoolShedError, "shed", trouble)
        raise self._reject(PoolTimeoutError, "timeout", f"none came back within {waited:.2f} s")

    def _run_locked(self, operation: Callable[..., None], *arguments: Waiter) -> None:
        with self._lock:
            operation(*arguments)
        self._after_lock()

    def _hand_on(self, waiter: Waiter) -> None:
        if waiter.record is not None:
            self._do_return_conn(waiter.record)
        else:
            self._release_slots(lent=1)

    def _reject(self, error_class: type[PoolTimeoutError], reason: str, detail: str) -> PoolTimeoutError:
        if self.statistics is not None:
            self.statistics.record_rejected(reason)
        events.record_throttled(reason, f"A full pool turned requests away: {detail}.")
        return error_class(errors.exhausted_message(detail, self._limit, self))
