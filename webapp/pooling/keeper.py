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

from webapp.pooling.background import BackgroundThread
from webapp.pooling.freshness import Chore, chore
from webapp.pooling.liveness import ALIVE_AT, USED_AT, Liveness
from webapp.pooling.pool import FairQueuePool
from webapp.pooling.record import FairRecord, close_all
from webapp.pooling.settings import PoolSettings
from webapp.pooling.watch import Watch

LONGEST_REST = 1.0
SHORTEST_REST = 0.05


class Upkeep:
    """The care for one engine's connections, idle or held."""

    def __init__(self, engine: Engine, settings: PoolSettings, liveness: Liveness | None, watch: Watch) -> None:
        """Look after `engine`; without `liveness` (SQLite) nothing is pinged."""
        self._engine = weakref.ref(engine)
        self._settings = settings
        self._liveness = liveness
        self._watch = watch

    def look(self) -> float:
        """Do what is due; return how many seconds nothing more will be."""
        rest = self._watch.look()
        engine = self._engine()
        if engine is None or not isinstance(engine.pool, FairQueuePool):
            return rest
        pool = engine.pool
        while (due := self._take_due(pool)) is not None:
            record, what = due
            if what is not Chore.PING:
                discard(pool, record, what)
            elif self._liveness is None or self._liveness.answers(record.dbapi_connection):
                record.info[ALIVE_AT] = time.monotonic()
                put_back(pool, record)
            else:
                discard(pool, record, "lost")
        return min(rest, self._settings.retire_after / 4, self._settings.ping_every / 4)

    def _take_due(self, pool: FairQueuePool) -> tuple[FairRecord, Chore] | None:
        now = time.monotonic()

        def what_for(record: FairRecord, idle: int) -> Chore:
            return chore(
                unused=now - record.info.get(USED_AT, now),
                unseen=now - record.info.get(ALIVE_AT, now),
                is_expired=record.is_expired(),
                is_spare=idle > self._settings.keep,
                retire_after=self._settings.retire_after,
                ping_every=self._settings.ping_every,
            )

        return take_idle(pool, what_for)


def take_idle(pool: FairQueuePool, what_for: Callable[[FairRecord, int], Chore]) -> tuple[FairRecord, Chore] | None:
    """Take the longest unused idle connection that something is due for out of the pool."""
    with pool._lock:
        surplus = pool._place_returned()
        found = None
        for record in pool._idle:
            if isinstance(record, FairRecord) and (due := what_for(record, len(pool._idle))) is not Chore.NOTHING:
                found = record, due
                pool._idle.remove(record)
                break
    pool._after_lock(surplus)
    return found


def put_back(pool: FairQueuePool, record: FairRecord) -> None:
    """Give back what `take_idle` took, at its old place in the order of use; whoever waits gets it at once."""
    with pool._lock:
        fits = not pool._line.waiting and pool._total <= pool._limit and len(pool._idle) < pool._most_idle
        if fits:
            pool._idle.insert(sum(_used_at(other) < _used_at(record) for other in pool._idle), record)
    if not fits:
        pool._do_return_conn(record)
    else:
        pool._after_lock()


def discard(pool: FairQueuePool, record: FairRecord, why: str) -> None:
    """Close what `take_idle` took; then its slot is free for whoever waits."""
    close_all([record], why)
    pool._free(lent=1)


def _used_at(record: ConnectionPoolEntry) -> float:
    moment: float = record.info.get(USED_AT, 0.0)
    return moment


_upkeeps: weakref.WeakSet[Upkeep] = weakref.WeakSet()


def _look_at_all() -> float:
    rest = LONGEST_REST
    for upkeep in list(_upkeeps):
        rest = min(rest, upkeep.look())
    return max(SHORTEST_REST, rest)


_thread = BackgroundThread("poolproof-keeper", _look_at_all)


def look_after(engine: Engine, settings: PoolSettings, liveness: Liveness | None, watch: Watch) -> None:
    """Look after the connections of `engine`, from its first connect in each process on."""
    upkeep = Upkeep(engine, settings, liveness, watch)
    _upkeeps.add(upkeep)

    @event.listens_for(engine, "connect")
    def begin(dbapi_connection: object, record: ConnectionPoolEntry, upkeep: Upkeep = upkeep) -> None:
        # The listener also keeps the upkeep as long as there is its engine.
        _thread.ensure()


def stop() -> None:
    """End the thread; for the end of a worker."""
    _thread.stop()
