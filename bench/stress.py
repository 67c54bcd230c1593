"""Everything at once, for minutes: `python bench/stress.py --minutes 5`.

Threads borrow, return, forget, invalidate, detach; connects fail and listeners raise at random;
the pool is resized and disposed of meanwhile. Exits 1 when a promise is broken: more
connections open than allowed, one connection at two threads, a waiter without a connection
while a place is free, a place that is lost.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection

from webapp.pooling.pool import FairQueuePool
from webapp.pooling.shedding import CoDel
from webapp.pooling.statistics import PoolStatistics

SIZES = (1, 2, 3, 5, 8)
LARGEST = max(SIZES)
THREADS = 24
REPORT_EVERY = 10.0
CONNECT_FAILS, LISTENER_RAISES = 0.05, 0.01
FORGOTTEN, INVALIDATED, DETACHED = 0.03, 0.03, 0.02
"""Shares of all connects, listener calls, and uses."""
LONGEST_WAIT = 5.0
"""Seconds: ten times the pool's time-out, for a machine that is busy."""


class ChanceError(Exception):
    """Raised by a listener or a connect, at random."""


class Connections:
    """All connections that were made, as a server would see them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.lock = threading.Lock()
        self.open = 0
        self.most = 0

    def connect(self, chance: random.Random) -> Connection:
        """Open one, or fail."""
        if chance.random() < CONNECT_FAILS:
            raise ChanceError("connect")
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        return Connection(self)


class Connection:
    """The least that a pool needs of a connection, and who uses it."""

    def __init__(self, all_of_them: Connections) -> None:
        """Count as open."""
        self._all = all_of_them
        self._is_open = True
        self.user: int | None = None

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count as closed, once."""
        with self._all.lock:
            self._all.open -= self._is_open
            self._is_open = False


@dataclass
class Stress:
    """One run."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Make the pool; nothing runs yet."""
        self.chance = random.Random(self.seed)
        self.connections = Connections()
        self.pool = FairQueuePool(
            lambda: self.connections.connect(self.chance),
            pool_size=LARGEST,
            timeout=0.5,
            max_waiting=THREADS,
            shedding=CoDel(0.05, 0.5),
            statistics=PoolStatistics(),
        )
        for name in ("connect", "checkout", "checkin", "reset", "close", "invalidate"):
            event.listen(self.pool, name, self._listener(name))

    def _listener(self, name: str) -> Any:
        def listen(*arguments: object) -> None:
            if self.chance.random() < LISTENER_RAISES:
                kinds = (DisconnectionError, ChanceError) if name == "checkout" else (ChanceError,)
                raise self.chance.choice(kinds)(name)

        return listen

    def borrow_for_ever(self, number: int) -> None:
        """Be one thread."""
        while not self.done.is_set():
            try:
                connection = self.pool.connect()
            except PoolTimeoutError as error:
                self.counts[type(error).__name__] += 1
            except (ChanceError, DisconnectionError) as error:
                self.counts[f"failed {error}"] += 1
            else:
                self.counts["borrowed"] += 1
                self._use(connection, number)
                del connection

    def _use(self, connection: PoolProxiedConnection, number: int) -> None:
        taken: Any = connection.dbapi_connection
        if taken.user is not None:
            self.broken.append(f"thread {number} was given what thread {taken.user} uses")
        taken.user = number
        time.sleep(self.chance.choice((0, 0, 0.0005, 0.002)))
        taken.user = None
        deeds = ("forgotten", "invalidated", "detached", "returned")
        shares = (FORGOTTEN, INVALIDATED, DETACHED, 1 - FORGOTTEN - INVALIDATED - DETACHED)
        (what,) = self.chance.choices(deeds, shares)
        self.counts[what] += 1
        with suppress(ChanceError):
            if what == "invalidated":
                connection.invalidate(soft=self.chance.choice((True, False)))
            elif what == "detached":
                # It belongs to whoever takes it; so it no longer counts as one of the pool's.
                taken.close()
                connection.detach()
            if what != "forgotten" and connection.is_valid:
                connection.close()

    def disturb_for_ever(self) -> None:
        """Resize, collect garbage, dispose."""
        while not self.done.is_set():
            time.sleep(self.chance.uniform(0.001, 0.05))
            self.pool.resize(self.chance.choice(SIZES))
            self.counts["resized"] += 1
            gc.collect()
            self._look()

    def _look(self) -> None:
        if self.connections.most > LARGEST:
            self.broken.append(f"{self.connections.most} connections were open, {LARGEST} are allowed")
        if self.pool.oldest_wait() > LONGEST_WAIT:
            self.broken.append(f"somebody has waited for {self.pool.oldest_wait():.1f} s of 0.5")

    def judge_the_end(self) -> None:
        """Everybody has stopped: nothing may be out, no place lost, every place of use."""
        gc.collect()
        self.pool.resize(LARGEST)
        if self.pool.checkedout() or self.pool.waiting():
            self.broken.append(f"something is still out: {self.pool.status()}")
        if self.connections.open != self.pool.checkedin():
            self.broken.append(f"{self.connections.open} are open, the pool knows {self.pool.checkedin()}")
        held = [self._one() for _ in range(LARGEST)]
        if self.pool.checkedout() != LARGEST:
            self.broken.append(f"not every place serves: {self.pool.status()}")
        for connection in held:
            with suppress(ChanceError):
                connection.close()
        seen = self.pool.statistics.snapshot() if self.pool.statistics else None
        if seen is None or seen.uses.count + self.counts["detached"] < self.counts["borrowed"]:
            self.broken.append("the statistics have lost uses")

    def _one(self) -> PoolProxiedConnection:
        for _ in range(100):
            with suppress(ChanceError, DisconnectionError):
                return self.pool.connect()
        raise AssertionError("a hundred failures in a row at 5 %")


def run(seconds: float, seed: int, report: bool = True) -> Stress:  # noqa: FBT001, FBT002
    """Stress for so many seconds; what was broken is in the result."""
    stress = Stress(seed)
    threads = [threading.Thread(target=stress.borrow_for_ever, args=(number,)) for number in range(THREADS)]
    threads += [threading.Thread(target=stress.disturb_for_ever) for _ in range(2)]
    for thread in threads:
        thread.start()
    end, said = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < end and not stress.broken:
        time.sleep(min(0.2, seconds / 10))
        if report and time.monotonic() - said > REPORT_EVERY:
            said = time.monotonic()
            print(f"{stress.pool.status()}  most open: {stress.connections.most}  {dict(stress.counts)}", flush=True)
    stress.done.set()
    for thread in threads:
        thread.join(30)
        if thread.is_alive():
            stress.broken.append(f"{thread.name} does not end: {stress.pool.status()}")
    if not stress.broken:
        stress.judge_the_end()
    return stress


def main() -> None:
    """Stress, and judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=3.0)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**9))
    given = arguments.parse_args()
    print(f"seed {given.seed}")
    # SQLAlchemy logs what listeners raise: here that is the plan.
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda problem: None  # noqa: ARG005
    sys.setswitchinterval(0.0005)
    stress = run(given.minutes * 60, given.seed)
    print(f"most open: {stress.connections.most}  {dict(stress.counts)}")
    if stress.broken:
        sys.exit("broken: " + "; ".join(stress.broken[:5]))
    print("every promise held")


if __name__ == "__main__":
    main()
