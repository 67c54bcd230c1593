"""The housekeeper: one thread of a process that looks after the connections of all its pools.

What it takes out of a pool counts as in use until it is back, one at a time, so the budget
holds and a borrower meets either a connection or a free slot.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.pooling.background import PeriodicThread
from webapp.pooling.freshness import MaintenanceAction, due_action
from webapp.pooling.liveness import LAST_ALIVE_AT, LAST_USED_AT, Liveness
from webapp.pooling.pool import FairQueuePool
from webapp.pooling.record import MonotonicRecord, close_all
from webapp.pooling.settings import PoolSettings
from webapp.pooling.watch import LeakDetector

MAX_INTERVAL = 1.0
MIN_INTERVAL = 0.05


class Housekeeper:
    """The care for one engine's connections, idle or held."""

    def __init__(
        self, engine: Engine, settings: PoolSettings, liveness: Liveness | None, leak_detector: LeakDetector
    ) -> None:
        """Look after `engine`; without `liveness` (SQLite) nothing is pinged."""
        self._engine = weakref.ref(engine)
        self._settings = settings
        self._liveness = liveness
        self._leak_detector = leak_detector

    def run_once(self) -> float:
        """Do what is due; return how many seconds nothing more will be."""
        rest = self._leak_detector.scan()
        engine = self._engine()
        if engine is None or not isinstance(engine.pool, FairQueuePool):
            return rest
        pool = engine.pool
        while (due := self._borrow_due(pool)) is not None:
            record, what = due
            if what is not MaintenanceAction.PING:
                evict(pool, record, what)
            elif self._liveness is None or self._liveness.ping(record.dbapi_connection):
                record.info[LAST_ALIVE_AT] = time.monotonic()
                return_idle(pool, record)
            else:
                evict(pool, record, "lost")
        return min(rest, self._settings.retire_after / 4, self._settings.ping_every / 4)

    def _borrow_due(self, pool: FairQueuePool) -> tuple[MonotonicRecord, MaintenanceAction] | None:
        now = time.monotonic()

        def what_for(record: MonotonicRecord, idle: int) -> MaintenanceAction:
            return due_action(
                unused_for=now - record.info.get(LAST_USED_AT, now),
                unverified_for=now - record.info.get(LAST_ALIVE_AT, now),
                is_expired=record.is_expired(),
                exceeds_min_idle=idle > self._settings.keep,
                max_idle=self._settings.retire_after,
                keepalive_interval=self._settings.ping_every,
            )

        return borrow_idle(pool, what_for)


def borrow_idle(
    pool: FairQueuePool, action_for: Callable[[MonotonicRecord, int], MaintenanceAction]
) -> tuple[MonotonicRecord, MaintenanceAction] | None:
    """Take the longest unused idle connection that something is due for out of the pool."""
    with pool._lock:
        surplus = pool._distribute_returned()
        found = None
        for record in pool._idle:
            if (
                isinstance(record, MonotonicRecord)
                and (due := action_for(record, len(pool._idle))) is not MaintenanceAction.NONE
            ):
                found = record, due
                pool._idle.remove(record)
                break
    pool._after_lock(surplus)
    return found


def return_idle(pool: FairQueuePool, record: MonotonicRecord) -> None:
    """Give back what `take_idle` took, at its old place in the order of use; whoever waits gets it at once."""
    with pool._lock:
        fits = not pool._wait_queue.waiters and pool._total <= pool._limit and len(pool._idle) < pool._max_idle
        if fits:
            pool._idle.insert(sum(_last_used_at(other) < _last_used_at(record) for other in pool._idle), record)
    if not fits:
        pool._do_return_conn(record)
    else:
        pool._after_lock()


def evict(pool: FairQueuePool, record: MonotonicRecord, reason: str) -> None:
    """Close what `take_idle` took; then its slot is free for whoever waits."""
    close_all([record], reason)
    pool._release_slots(lent=1)


def _last_used_at(record: ConnectionPoolEntry) -> float:
    moment: float = record.info.get(LAST_USED_AT, 0.0)
    return moment


_housekeepers: weakref.WeakSet[Housekeeper] = weakref.WeakSet()


def _run_all() -> float:
    rest = MAX_INTERVAL
    for upkeep in list(_housekeepers):
        rest = min(rest, upkeep.run_once())
    return max(MIN_INTERVAL, rest)


_thread = PeriodicThread("poolproof-keeper", _run_all)


def register_engine(
    engine: Engine, settings: PoolSettings, liveness: Liveness | None, leak_detector: LeakDetector
) -> None:
    """Look after the connections of `engine`, from its first connect in each process on."""
    upkeep = Housekeeper(engine, settings, liveness, leak_detector)
    _housekeepers.add(upkeep)

    @event.listens_for(engine, "connect")
    def begin(dbapi_connection: object, record: ConnectionPoolEntry, upkeep: Housekeeper = upkeep) -> None:
        # The listener also keeps the upkeep as long as there is its engine.
        _thread.ensure_running()


def stop() -> None:
    """End the thread; for the end of a worker."""
    _thread.stop()
