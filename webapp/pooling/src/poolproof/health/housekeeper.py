"""The housekeeper: one thread of a process that looks after the connections of all its pools.

What it takes out of a pool counts as in use until it is back, one at a time, so the budget
holds and a borrower meets either a connection or a free slot.
"""

from __future__ import annotations

import time
import weakref

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.core.connection_record import LAST_USED_AT, MonotonicRecord
from poolproof.core.queue_pool import FairQueuePool
from poolproof.health.connection_age import MaintenanceAction, due_action
from poolproof.health.liveness import LAST_ALIVE_AT, Liveness
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.runtime.periodic_thread import PeriodicThread
from poolproof.settings import PoolSettings

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
                pool.evict(record, what)
            elif self._liveness is None or self._liveness.ping(record.dbapi_connection):
                record.info[LAST_ALIVE_AT] = time.monotonic()
                pool.return_idle(record)
            else:
                pool.evict(record, "lost")
        return min(rest, self._settings.max_idle / 4, self._settings.keepalive_interval / 4)

    def _borrow_due(self, pool: FairQueuePool) -> tuple[MonotonicRecord, MaintenanceAction] | None:
        now = time.monotonic()

        def what_for(record: MonotonicRecord, idle: int) -> MaintenanceAction | None:
            return due_action(
                unused_for=now - record.info.get(LAST_USED_AT, now),
                unverified_for=now - record.info.get(LAST_ALIVE_AT, now),
                is_expired=record.is_expired(),
                exceeds_min_idle=idle > self._settings.min_idle,
                max_idle=self._settings.max_idle,
                keepalive_interval=self._settings.keepalive_interval,
            )

        return pool.borrow_idle(what_for)


_housekeepers: weakref.WeakSet[Housekeeper] = weakref.WeakSet()


def _run_all() -> float:
    rest = MAX_INTERVAL
    for upkeep in list(_housekeepers):
        rest = min(rest, upkeep.run_once())
    return max(MIN_INTERVAL, rest)


_thread = PeriodicThread("poolproof-housekeeper", _run_all)


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
