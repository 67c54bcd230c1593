"""What each way of coming by a connection does when it fills, is full, grows old, or loses some: by measuring."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from webapp.lab.pools.pool_benchmark import summarize_error
from webapp.lab.pools.pool_types import PoolOptions, PoolType
from webapp.lab.services.connection_monitor import ConnectionMonitor

SMALL_BURST, LARGE_BURST = 5, 20
"""How many borrow at once; the second is more than any pool here lends."""
POOL_TIMEOUT, MAX_AGE = 1.0, 1
"""Seconds: the pool's time-out and its greatest age, here."""
HOLD_DURATION, IDLE_DURATION = 0.4, 1.2
POLL_INTERVAL = 0.02


@dataclass(frozen=True)
class PoolBehaviour:
    """What was seen; connections are those on the server, times are seconds."""

    after_creation: int
    """Connections before anybody has borrowed."""
    after_one: int
    after_small_burst: int
    """After five were out at once and came back."""
    max_checked_out: int
    """Of twenty that asked at once and gave back nothing."""
    open_at_peak: int
    after_large_burst: int
    """When all had been given back."""
    rejection_message: str
    """What the others of the twenty got, or an empty text."""
    rejected_after: float | None
    wait_when_full: float | None
    """How long somebody waited at a full pool until something came back, which was after 0.4 s; None: nobody has to."""
    is_recycled: bool
    """Whether a connection above the greatest age is replaced."""
    failed_after_kill: int
    """Uses of ten, after one of five idle connections was killed."""
    closed_after_kill: int
    """Healthy connections that were closed for it."""
    failed_after_restart: int
    """Uses of ten, after all five were killed, as a restart of the server does."""


@dataclass
class _HeldConnections:
    """Threads that hold a connection each until they are released."""

    checked_out: int = 0
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Of those that were turned away."""
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


sleep_idle = time.sleep


def observe_behaviour(pool_type: PoolType, database_url: str, monitor: ConnectionMonitor) -> PoolBehaviour:
    """Watch one way for some seconds."""
    with _create_engine(pool_type, database_url, monitor) as engine:
        made = monitor.wait_until_settled()
        _fetch_connection_id(engine)
        one = monitor.wait_until_settled()
        with _holding_connections(engine, SMALL_BURST):
            pass
        few = monitor.wait_until_settled()
    with _create_engine(pool_type, database_url, monitor) as engine:
        _fetch_connection_id(engine)
        with _holding_connections(engine, LARGE_BURST) as many:
            then = monitor.wait_until_settled()
        after = monitor.wait_until_settled()
    with _create_engine(pool_type, database_url, monitor) as engine:
        waited = _measure_wait_when_full(engine, many.checked_out) if many.errors else None
    with _create_engine(pool_type, database_url, monitor, recycle=MAX_AGE) as engine:
        first = _fetch_connection_id(engine)
        sleep_idle(IDLE_DURATION)
        is_renewed = _fetch_connection_id(engine) != first
    failed, closed = _count_after_kills(pool_type, database_url, monitor, kill_all=False)
    failed_all, _ = _count_after_kills(pool_type, database_url, monitor, kill_all=True)
    turned_away = many.errors[0] if many.errors else ""
    turned_away_after = max(many.waits) if many.waits else None
    return PoolBehaviour(
        made, one, few, many.checked_out, then, after, turned_away, turned_away_after, waited, is_renewed, failed, closed,
        failed_all,
    )  # fmt: skip


@contextmanager
def _create_engine(
    pool_type: PoolType, database_url: str, monitor: ConnectionMonitor, recycle: int = -1
) -> Iterator[Engine]:
    engine = pool_type.create(database_url, PoolOptions(LARGE_BURST, POOL_TIMEOUT, recycle))
    try:
        yield engine
    finally:
        with suppress(Exception):
            engine.dispose()
        monitor.kill_all()
        monitor.wait_until_settled()


@contextmanager
def _holding_connections(engine: Engine, count: int) -> Iterator[_HeldConnections]:
    """Let so many threads borrow at once; the block runs when each has a connection or was turned away."""
    held = _HeldConnections()

    def hold() -> None:
        asked = time.monotonic()
        try:
            connection = engine.connect()
        except Exception as error:  # noqa: BLE001 - what a full pool says is what is asked
            with held.lock:
                held.waits.append(time.monotonic() - asked)
                held.errors.append(summarize_error(error))
            return
        with held.lock:
            held.checked_out += 1
        held.release.wait()
        # One after the other, so that a connection that is shared is not used by two; a closed one may object.
        with held.lock, suppress(Exception):
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        for _ in range(count):
            threads.submit(hold)
        try:
            while held.checked_out + len(held.errors) < count:
                time.sleep(POLL_INTERVAL)
            yield held
        finally:
            held.release.set()


def _measure_wait_when_full(engine: Engine, connections: int) -> float:
    """Return how long the next one waits at a full pool when a connection comes back after 0.4 s."""
    with _holding_connections(engine, connections) as full, ThreadPoolExecutor(1) as aside:
        asked = time.monotonic()
        next_one = aside.submit(_fetch_connection_id, engine)
        time.sleep(HOLD_DURATION)
        full.release.set()
        next_one.result()
        return time.monotonic() - asked


def _count_after_kills(
    pool_type: PoolType, database_url: str, monitor: ConnectionMonitor, *, kill_all: bool
) -> tuple[int, int]:
    """Return how many of ten uses failed, and how many healthy connections are gone."""
    with _create_engine(pool_type, database_url, monitor) as engine:
        _fetch_connection_id(engine)
        with _holding_connections(engine, SMALL_BURST):
            pass
        monitor.wait_until_settled()
        idle = monitor.connection_ids()
        killed = idle if kill_all else idle[:1]
        sleep_idle(IDLE_DURATION)
        monitor.kill(killed)
        monitor.wait_until_settled()
        failed = _count_failures(engine) + _count_failures(engine)
        monitor.wait_until_settled()
        return failed, len(set(idle) - set(killed) - set(monitor.connection_ids()))


def _count_failures(engine: Engine) -> int:
    """Borrow five, then use each, as five requests at once would; returns how many could not."""
    failed, borrowed = 0, []
    for _ in range(SMALL_BURST):
        try:
            borrowed.append(engine.connect())
        except Exception:  # noqa: BLE001 - it is counted
            failed += 1
    for connection in borrowed:
        try:
            _connection_id(connection)
        except Exception:  # noqa: BLE001 - it is counted
            failed += 1
        with suppress(Exception):
            connection.close()
    return failed


def _fetch_connection_id(engine: Engine) -> int:
    with engine.connect() as connection:
        return _connection_id(connection)


def _connection_id(connection: Connection) -> int:
    return int(connection.execute(text("SELECT CONNECTION_ID()")).scalar_one())
