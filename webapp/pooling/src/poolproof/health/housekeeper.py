"""The housekeeper: one thread of a process that maintains the connections of all its pools.

It takes one connection at a time out of a pool, which counts as in use until it is back: so the number of connections
never exceeds the budget, and a caller finds either a connection or a free slot.
"""

from __future__ import annotations

import logging
import math
import weakref

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from poolproof.core.connection_record import LAST_ALIVE_AT, LAST_USED_AT, MonotonicRecord
from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers.postgresql.reply_timeouts import reply_timeouts
from poolproof.health.connection_age import MaintenanceAction, due_action
from poolproof.health.liveness import Liveness
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.runtime import clock
from poolproof.runtime.periodic_thread import PeriodicThread
from poolproof.settings import PoolSettings

log = logging.getLogger(__name__)

MAX_INTERVAL = 1.0
MIN_INTERVAL = 0.05
"""Seconds between two rounds."""


class Housekeeper:
    """Maintains one engine's connections, idle ones and those checked out."""

    def __init__(
        self, engine: Engine, settings: PoolSettings, liveness: Liveness | None, leak_detector: LeakDetector
    ) -> None:
        """Maintain `engine`; without `liveness` (SQLite, adopted engines) nothing is pinged."""
        self._engine = weakref.ref(engine)
        self._settings = settings
        self._liveness = liveness
        self._leak_detector = leak_detector

    def run_once(self) -> float:
        """Do what is due; return after how many seconds to call this again."""
        interval = self._leak_detector.scan()
        engine = self._engine()
        if engine is None or not isinstance(engine.pool, FairQueuePool):
            return interval
        while self._maintain_next(engine.pool):
            pass
        return min(interval, self._settings.max_idle / 4, self._settings.keepalive_interval / 4)

    def _maintain_next(self, pool: FairQueuePool) -> bool:
        """Do what is due for one connection; say whether there was any."""
        now = clock.since_boot()

        def action_for(record: MonotonicRecord, idle: int) -> MaintenanceAction | None:
            if record.dbapi_connection is None:
                # Its connection was lost; there is nothing to maintain until the next borrower connects.
                return None
            return due_action(
                unused_for=now - record.info.get(LAST_USED_AT, now),
                unverified_for=now - record.info.get(LAST_ALIVE_AT, now),
                is_expired=record.is_expired(),
                exceeds_min_idle=idle > self._settings.min_idle,
                max_idle=self._settings.max_idle,
                keepalive_interval=self._settings.keepalive_interval if self._liveness is not None else math.inf,
            )

        with pool.borrow_idle(action_for) as loan:
            if loan is None:
                return False
            if loan.action is not MaintenanceAction.PING:
                loan.close_reason = loan.action
            elif self._liveness is not None and self._liveness.ping(loan.record.dbapi_connection):
                loan.record.info[LAST_ALIVE_AT] = clock.since_boot()
            else:
                loan.close_reason = "lost"
        return True


_housekeepers: weakref.WeakSet[Housekeeper] = weakref.WeakSet()


def _run_all() -> float:
    interval = MAX_INTERVAL
    for each in list(_housekeepers):
        try:
            interval = min(interval, each.run_once())
        except Exception:
            # An error with one engine must not keep the others from being maintained.
            log.exception("The housekeeper met with an error and goes on with the next engine")
    return max(MIN_INTERVAL, interval)


_thread = PeriodicThread("poolproof-housekeeper", _run_all)


def register_engine(
    engine: Engine, settings: PoolSettings, liveness: Liveness | None, leak_detector: LeakDetector
) -> None:
    """Maintain the connections of `engine`, from its first connect in each process on."""
    housekeeper = Housekeeper(engine, settings, liveness, leak_detector)
    _housekeepers.add(housekeeper)

    @event.listens_for(engine, "connect")
    def start(dbapi_connection: object, record: ConnectionPoolEntry, keep_alive: Housekeeper = housekeeper) -> None:
        # The default argument keeps the housekeeper alive as long as the engine, which it refers to weakly.
        _thread.ensure_running()


def stop() -> None:
    """End the threads of this process that look after connections; for the end of a worker."""
    _thread.stop()
    reply_timeouts.stop()
