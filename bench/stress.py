"""Everything at once, for minutes: `python bench/stress.py --minutes 5`.

Threads borrow, return, forget, invalidate, detach, some with a deadline; connects, closes and
rollbacks fail and listeners raise at random; waits are interrupted; the pool is resized, kept house
in and disposed of meanwhile. Exits 1 when a promise is broken: more connections open than allowed,
one at two threads, one lent that is closed or declared dead, a thread waiting while a slot is
free, a place that is lost.
"""
# ruff: noqa: SLF001 - it is the inside of the pool that has to be in order at every moment

from __future__ import annotations

import argparse
import contextvars
import gc
import json
import logging
import math
import random
import signal
import sqlite3
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from poolproof import deadlines
from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics
from poolproof.core.wait_queue import Waiter
from poolproof.health.connection_age import MaintenanceAction

SIZES, OVERFLOWS = (1, 2, 3, 5, 8), (0, 0, 1, 2)
MAX_SIZE = max(SIZES) + max(OVERFLOWS)
THREADS, MAX_WAITING = 24, 18
REPORT_INTERVAL = 10.0
CONNECT_FAILS, DRIVER_FAILS, LISTENER_RAISES, HAS_DEADLINE = 0.05, 0.01, 0.01, 0.2
FORGOTTEN, INVALIDATED, DETACHED = 0.03, 0.03, 0.02
"""Shares of all connects, closes and rollbacks, listener calls, borrowings, and uses."""
PAUSES = (0.0, 0.001, 0.02)
"""Seconds between two borrowings: a rush, enough to do, a lull."""
MAX_WAIT = 5.0
"""Seconds: ten times the pool's time-out, for a machine that is busy."""
SETTLE_TIMEOUT = 10.0
"""Seconds after which a pool that shrank or was disposed of has closed what is too much."""


EVERYTHING, SOME = (
    "forgotten", "invalidated", "detached", "resized", "settled", "disposed", "interrupted", "kept house: ping",
    "kept house: idle", "OperationalError", "ChanceError", "PoolQueueFullError", "PoolTimeoutError",
), 3  # fmt: skip
"""What has to have happened, and how often, before it ends by the number of borrowings."""


class ChanceError(Exception):
    """Raised by a listener, at random."""


class Tally:
    """Which connections of one pool are open; a set, for a garbage collection may interrupt `+= 1`."""

    def __init__(self) -> None:
        """Begin with none."""
        self.bound: float = MAX_SIZE
        self.open: set[int] = set()


class Connection(sqlite3.Connection):
    """A connection that knows who uses it."""

    stress: Stress
    tally: Tally

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Begin unused."""
        super().__init__(*arguments, **named)
        self.busy = threading.Lock()
        self.is_unfit = False

    def rollback(self) -> None:
        """Roll back, or fail."""
        self._end(super().rollback)

    def close(self) -> None:
        """Close, and sometimes fail after that."""
        self.is_unfit = True
        # A goodbye takes its time; until then the server counts it.
        self._end(
            lambda: time.sleep(self.stress.chance.choice((0, 0.002))),
            super().close,
            lambda: self.tally.open.discard(id(self)),
        )

    def _end(self, *steps: Callable[[], None]) -> None:
        if self.busy.locked():
            self.stress.broken.append("a connection was rolled back or closed while a thread used it")
        for step in steps:
            step()
        if self.stress.happens(DRIVER_FAILS):
            raise sqlite3.OperationalError("by chance")


class Stress:
    """One run; `broken` says which promises were."""

    def __init__(self, seed: int) -> None:
        """Make the pool; nothing runs yet."""
        self.chance, self.is_calm, self.pause = random.Random(seed), False, 0.0
        self.broken: list[str] = []
        self.done = threading.Event()
        self.most = 0
        self.tallies: weakref.WeakKeyDictionary[Any, Tally] = weakref.WeakKeyDictionary()
        self.disposed: list[tuple[float, FairQueuePool]] = []
        self._all_counts: list[Counter[str]] = []
        self._here = threading.local()
        self.statistics = PoolStatistics()
        self.engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=FairQueuePool, pool_size=max(SIZES),
            max_overflow=max(OVERFLOWS), pool_timeout=0.5, max_waiting=MAX_WAITING, shedding=CoDel(0.01, 0.1),
            statistics=self.statistics,
        )  # fmt: skip
        self.tallies[self.pool] = Tally()
        for name in ("connect", "checkout", "checkin", "reset", "close", "invalidate"):
            event.listen(self.engine, name, self._listener(name))

    @property
    def pool(self) -> FairQueuePool:
        """The pool of this moment."""
        assert isinstance(self.engine.pool, FairQueuePool)  # noqa: S101 - for the type checker
        return self.engine.pool

    @property
    def counts(self) -> Counter[str]:
        """What happened so far, in all threads."""
        return sum((counts.copy() for counts in self._all_counts.copy()), Counter())

    def count(self, what: str) -> None:
        """Count in this thread; each thread for itself, so nothing is lost."""
        if not hasattr(self._here, "counts"):
            self._here.counts = Counter()
            self._all_counts.append(self._here.counts)
        self._here.counts[what] += 1

    def happens(self, share: float) -> bool:
        """Draw by lot."""
        return not self.is_calm and self.chance.random() < share

    def _connect(self, record: Any) -> Connection:
        if self.happens(CONNECT_FAILS):
            raise sqlite3.OperationalError("no server")
        connection = sqlite3.connect(":memory:", check_same_thread=False, factory=Connection)
        connection.stress, connection.tally = self, self.tallies.setdefault(record._own_pool, Tally())
        connection.tally.open.add(id(connection))
        now_open = len(connection.tally.open)
        self.most = max(self.most, now_open)
        if now_open > connection.tally.bound:
            self.broken.append(f"{now_open} connections were open, {connection.tally.bound} are allowed")
        return connection

    def _listener(self, name: str) -> Callable[..., None]:
        disconnects = (DisconnectionError, DisconnectionError, InvalidatePoolError) if name == "checkout" else ()

        def listen(*arguments: object) -> None:
            if self.happens(LISTENER_RAISES):
                raise self.chance.choice((ChanceError, *disconnects))(name)

        return listen

    def run_repeatedly(self, task: Callable[[], None]) -> None:
        """Run a task again and again, as one thread."""
        while not self.done.is_set():
            try:
                contextvars.copy_context().run(task)
            except BaseException as error:  # noqa: BLE001 - a thread must not end without a word
                self.broken.append(f"{task.__name__}: {error!r}")
                return

    def borrow(self) -> None:
        """Ask for a connection, and use what comes."""
        time.sleep(self.pause)
        if self.happens(HAS_DEADLINE):
            deadlines.set_deadline(self.chance.uniform(0.0, 0.3))
        started_at = time.monotonic()
        try:
            connection = self.engine.raw_connection()
        except (ChanceError, sqlite3.OperationalError, InvalidRequestError, PoolTimeoutError) as error:
            self.count(type(error).__name__)
            time.sleep(0.001)
        except KeyboardInterrupt:
            self.count("interrupted")
        else:
            self.count("borrowed")
            self._use(connection, connection.dbapi_connection)
        if (took := time.monotonic() - started_at) > MAX_WAIT:
            self.broken.append(f"a thread needed {took:.1f} s to borrow and return: {self.pool.status()}")

    def _use(self, connection: PoolProxiedConnection, dbapi_connection: Any) -> None:
        if dbapi_connection.is_unfit:
            self.broken.append("a connection was lent that was closed or declared dead")
        if not dbapi_connection.busy.acquire(blocking=False):
            self.broken.append("one connection was lent to two threads")
            return
        time.sleep(self.chance.choice((0, 0, 0.0005, 0.002)))
        dbapi_connection.busy.release()
        shares = (FORGOTTEN, INVALIDATED, DETACHED, 1 - FORGOTTEN - INVALIDATED - DETACHED)
        (what,) = self.chance.choices(("forgotten", "invalidated", "detached", "returned"), shares)
        self.count(what)
        with suppress(ChanceError, sqlite3.OperationalError):
            if what == "forgotten":
                # In a cycle, so that it comes back at some other moment.
                cycle: list[Any] = [connection]
                cycle.append(cycle)
                return
            if what == "invalidated":
                dbapi_connection.is_unfit = True
                connection.invalidate(soft=self.chance.choice((True, False)))
            elif what == "detached":
                # It belongs to the thread that detached it: it is no longer one of the pool's.
                dbapi_connection.tally.open.discard(id(dbapi_connection))
                connection.detach()
            if connection.is_valid:
                connection.close()

    def disturb(self) -> None:
        """Resize, dispose, change the load, and check that the pool keeps its bounds."""
        time.sleep(self.chance.uniform(0.001, 0.05))
        what = self.chance.choices(("resized", "settled", "disposed", "changed load"), (10, 3, 1, 2))[0]
        self.count(what)
        pool = self.pool
        if what == "resized":
            self.tallies[pool].bound = MAX_SIZE
            pool.resize(self.chance.choice(SIZES), self.chance.choice(OVERFLOWS))
        elif what == "settled":
            self._settle(pool)
        elif what == "disposed":
            self.disposed.append((time.monotonic(), pool))
            self.engine.dispose()
            self.tallies.setdefault(self.pool, Tally())
        else:
            self.pause = self.chance.choice(PAUSES)

    def _settle(self, pool: FairQueuePool) -> None:
        """Wait until the pool has closed what is too much; from then on its present limit binds."""
        limit, end = pool.limit(), time.monotonic() + SETTLE_TIMEOUT
        while sum(in_use(pool)) > limit and time.monotonic() < end:
            time.sleep(0.001)
        if sum(in_use(pool)) > limit:
            self.broken.append(f"it does not shrink to {limit}: {pool.status()}")
        self.tallies[pool].bound = limit

    def maintain(self) -> None:
        """Collect garbage, and take an idle connection out as the housekeeper does."""
        time.sleep(self.chance.uniform(0.001, 0.02))
        gc.collect()
        pool, what = self.pool, self.chance.choice((MaintenanceAction.PING, MaintenanceAction.RETIRE))

        def action_for(record: ConnectionPoolEntry, idle: int) -> MaintenanceAction:
            return what

        with pool.borrow_idle(action_for) as loan:
            if loan is not None:
                self.count(f"kept house: {what}")
                loan.close_reason = None if what is MaintenanceAction.PING else what
        self._check_state(pool)

    def _check_state(self, pool: FairQueuePool) -> None:
        """Check the state of the pool, which has to be consistent whenever no thread holds the lock."""
        with pool._slots.lock:
            slots = pool._slots
            starve = pool.waiting() and (slots.idle or slots.has_free())
            is_wrong = slots.closing < 0 or slots.total < len(slots.idle)
        # As every thread does that has released the lock.
        pool._slots.after_lock()
        if starve or is_wrong:
            self.broken.append(f"{'a thread waits, a slot is free' if starve else 'miscounted'}: {pool.status()}")

    def interrupt(self) -> None:
        """Interrupt the main thread."""
        time.sleep(self.chance.uniform(0.001, 0.05))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def check_disposed_pools(self, min_age: float) -> None:
        """Check that pools disposed of `min_age` seconds ago have closed all their connections."""
        for at, pool in self.disposed.copy():
            if time.monotonic() - at > min_age:
                self.disposed.remove((at, pool))
                if sum(in_use(pool)) or self.tallies[pool].open:
                    self.broken.append(f"a disposed pool keeps {len(self.tallies[pool].open)} open: {pool.status()}")

    def check_final_state(self) -> None:
        """Check, when all threads have stopped, that nothing is out, no slot is lost, and every slot can be used."""
        self.is_calm = True
        gc.collect()
        if self.pool._slots.returned:
            self.broken.append("a returned connection was not handed on")
        self.check_disposed_pools(min_age=-1)
        pool, known = self.pool, self.tallies[self.pool].open
        if pool.checkedout() or pool.waiting() or sum(in_use(pool)) != len(pool._slots.idle):
            self.broken.append(f"something is still out: {pool.status()}")
        # A slot whose connection was invalidated has none.
        if len(known) != sum(record.dbapi_connection is not None for record in pool._slots.idle):
            self.broken.append(f"{len(known)} are open, the pool knows {pool.checkedin()}")
        self.tallies[pool].bound = MAX_SIZE
        pool.resize(MAX_SIZE, 0)
        connections = [self.engine.raw_connection() for _ in range(MAX_SIZE)]
        for connection in connections:
            connection.close()
        if (pool.checkedout(), pool.checkedin(), len(known)) != (0, MAX_SIZE, MAX_SIZE):
            self.broken.append(f"not every slot can be used again, {len(known)} are open: {pool.status()}")
        if self.statistics.snapshot().use_time.count + self.counts["detached"] < self.counts["borrowed"]:
            self.broken.append("the statistics have lost uses")
        self.engine.dispose()


def in_use(pool: FairQueuePool) -> tuple[int, int]:
    """Return how many slots are in use, and how many connections are given up but not closed yet."""
    with pool._slots.lock:
        counted = pool._slots.total, pool._slots.closing
    pool._slots.after_lock()
    return counted


@contextmanager
def stressful_conditions() -> Iterator[None]:
    """Switch threads and collect garbage often; let a signal interrupt the main thread while it waits in the queue."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code is Waiter.wait.__code__:
            raise KeyboardInterrupt

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    before = signal.signal(signal.SIGUSR1, interrupt)
    sys.setswitchinterval(0.0005)
    gc.set_threshold(200, 5, 5)
    # What was there before stays out of it: collections of a large process would take all the time.
    gc.freeze()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        signal.signal(signal.SIGUSR1, before)


def is_enough(counts: Counter[str], borrowings: float) -> bool:
    """Say whether there were so many borrowings, and all else happened some times."""
    return counts["borrowed"] >= borrowings and all(counts[what] >= SOME for what in EVERYTHING)


def run(seconds: float, seed: int, borrowings: float = math.inf) -> Stress:
    """Stress for so many seconds, from the main thread; what was broken is in the result.

    It ends earlier when there were so many borrowings, and everything that goes wrong has gone wrong.
    """
    stress, borrowed = Stress(seed), 0
    tasks = [stress.borrow] * (THREADS - 1) + [stress.disturb, stress.maintain, stress.interrupt]
    threads = [threading.Thread(target=stress.run_repeatedly, args=(task,), daemon=True) for task in tasks]
    with stressful_conditions():
        for thread in threads:
            thread.start()
        started_at = reported_at = time.monotonic()
        while (
            time.monotonic() - started_at < seconds and not stress.broken and not is_enough(stress.counts, borrowings)
        ):
            contextvars.copy_context().run(stress.borrow)
            stress.check_disposed_pools(min_age=SETTLE_TIMEOUT)
            if time.monotonic() - reported_at > REPORT_INTERVAL:
                reported_at, counts = time.monotonic(), stress.counts
                if counts["borrowed"] == borrowed:
                    stress.broken.append(f"no thread got a connection for {REPORT_INTERVAL} s: {stress.pool.status()}")
                borrowed = counts["borrowed"]
                print(f"{reported_at - started_at:4.0f} s  most open: {stress.most}  {dict(counts)}", flush=True)
        stress.done.set()
        for thread in threads:
            thread.join(30)
            if thread.is_alive():
                stress.broken.append(f"{thread.name} does not end: {stress.pool.status()}")
    if not stress.broken:
        stress.check_final_state()
    return stress


def main() -> None:
    """Stress, and judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=3.0)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**9))
    arguments.add_argument("--borrowings", type=int, default=math.inf, help="end when there were so many")
    options = arguments.parse_args()
    print(f"seed {options.seed}")
    # SQLAlchemy logs what listeners raise: here that is the plan.
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda problem: None  # noqa: ARG005
    stress = run(options.minutes * 60, options.seed, options.borrowings)
    print(f"most open: {stress.most}")
    print(json.dumps(stress.counts))
    if stress.broken:
        sys.exit(f"broken, with seed {options.seed}: " + "; ".join(stress.broken[:5]))
    print("every promise held")


if __name__ == "__main__":
    main()
