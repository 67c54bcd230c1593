"""The drills: each is a fault and a statement that either holds or does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.drills.backends import Backends, hold_all, read_id

IDLE_TIME = 0.8
"""Seconds for which connections are idle: longer than `ping_idle_after` of an adopted engine."""
WORK_TIME, KILL_INTERVAL, KILLS, UNIT_TIME = 2.0, 0.3, 4, 0.01
TIMEOUT_MARGIN = 2.0
"""Seconds by which a refusal may be later than the pool's time-out: the machine may be busy."""


@dataclass(frozen=True)
class DrillResult:
    """What a drill has found."""

    passed: bool
    sentence: str


@dataclass(frozen=True)
class Drill:
    """A fault, and what is expected of a pool."""

    hypothesis: str
    run: Callable[[Engine, Backends, int, float], DrillResult]
    """With the engine, the server's end of its connections, the size of its pool and its time-out."""


def _end_idle(engine: Engine, backends: Backends, size: int, timeout: float) -> DrillResult:
    """End all connections while they are idle, as a server's idle time-out, a firewall or a restart does."""
    with hold_all(engine, size) as ids:
        pass
    time.sleep(IDLE_TIME)
    ended = backends.end(ids)
    failed = sum(not _is_served(engine) for _ in range(2 * size))
    return DrillResult(
        failed == 0, f"{ended} idle connections were ended; of the next {2 * size} requests {failed} failed."
    )


def _end_busy(engine: Engine, backends: Backends, size: int, timeout: float) -> DrillResult:
    """End all connections again and again while threads use them."""
    work = _Work(engine)
    threads = [threading.Thread(target=work.run) for _ in range(2 * size)]
    for thread in threads:
        thread.start()
    ended = 0
    for _ in range(KILLS):
        time.sleep(KILL_INTERVAL)
        ended += backends.end(list(work.ids))
    # What was idle when it was ended is found out by its next use or its ping.
    time.sleep(WORK_TIME - KILLS * KILL_INTERVAL)
    work.stopped.set()
    for thread in threads:
        thread.join()
    try:
        with hold_all(engine, size):
            is_whole = True
    except SQLAlchemyError:
        is_whole = False
    lost = "all connections can be lent afterwards" if is_whole else "afterwards the pool has lost some of its slots"
    sentence = f"{ended} connections were ended while {work.served} requests were served; {work.failed} failed, {lost}."
    return DrillResult(is_whole and work.failed <= ended and work.served > 0, sentence)


def _fill(engine: Engine, backends: Backends, size: int, timeout: float) -> DrillResult:
    """Hold every connection, and ask for one more."""
    with hold_all(engine, size):
        started_at = time.monotonic()
        is_refused = not _is_served(engine)
        waited = time.monotonic() - started_at
    is_served = _is_served(engine)
    outcome, afterwards = ("refused" if is_refused else "served"), ("served" if is_served else "refused")
    sentence = (
        f"With all {size} held, one more request was {outcome} after {waited:.1f} s; when they were returned, the next "
        f"one was {afterwards}."
    )
    return DrillResult(is_refused and is_served and waited <= timeout + TIMEOUT_MARGIN, sentence)


DRILLS = {
    "idle-kills": Drill("Connections that the server ends while they are idle make no request fail.", _end_idle),
    "kills": Drill(
        "Connections that are ended while they are used cost at most the requests that used them, and no slot.",
        _end_busy,
    ),
    "full": Drill("A full pool refuses a request when its time-out is over, and serves again at once.", _fill),
}


class _Work:
    """What the threads of a drill share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Guards the counts, which several threads change, and the ids.
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.served = self.failed = 0
        self._ids: set[int] = set()

    @property
    def ids(self) -> set[int]:
        """The server's ids of the connections that are in use now."""
        with self._lock:
            return set(self._ids)

    def run(self) -> None:
        """Make requests until it is stopped; the work of one thread."""
        while not self.stopped.is_set():
            number = None
            try:
                with self._engine.connect() as connection:
                    number = read_id(connection)
                    with self._lock:
                        self._ids.add(number)
                    time.sleep(UNIT_TIME)
                    connection.execute(text("SELECT 1"))
                with self._lock:
                    self.served += 1
            except SQLAlchemyError:
                with self._lock:
                    self.failed += 1
            finally:
                with self._lock:
                    self._ids.discard(number or 0)


def _is_served(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True
