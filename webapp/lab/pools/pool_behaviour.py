"""Observes how each pool behaves when it fills, is full, has old connections, or loses some."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from poolproof.lab.connection_monitor import ConnectionMonitor
from webapp.lab.pools.pool_benchmark import summarize_error
from webapp.lab.pools.pool_types import PoolOptions, PoolType

SMALL_BURST, LARGE_BURST = 5, 20
"""Simultaneous checkouts; the second number is more than any pool here allows."""
POOL_TIMEOUT, MAX_AGE = 1.0, 1
"""Seconds: the checkout time-out and the greatest age with which the pools are observed."""
HOLD_DURATION, IDLE_DURATION = 0.4, 1.2
POLL_INTERVAL = 0.02


@dataclass(frozen=True)
class PoolBehaviour:
    """What was observed; connections are counted on the server, times are seconds."""

    after_creation: int
    """Connections before the first checkout."""
    after_one: int
    """After one checkout was returned."""
    after_small_burst: int
    """After five were checked out at once and returned."""
    max_checked_out: int
    """Of twenty simultaneous checkouts that are not returned, those that succeeded."""
    open_at_peak: int
    """Connections meanwhile."""
    after_large_burst: int
    """After all were returned."""
    rejection_message: str
    """The error of the other checkouts, or an empty text."""
    rejected_after: float | None
    """The longest time until such an error."""
    wait_when_full: float | None
    """Wait of a checkout at a full pool when a connection was returned after 0.4 s; None: the pool is never full."""
    is_recycled: bool
    """Whether a connection above the greatest age was replaced."""
    failed_after_kill: int
    """Uses of ten, after one of five idle connections was killed."""
    closed_after_kill: int
    """Healthy connections that the pool closed because of it."""
    failed_after_restart: int
    """Uses of ten, after all five were killed, as by a restart of the server."""


@dataclass
class _HeldConnections:
    """Threads that hold a connection each until they are released."""

    checked_out: int = 0
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Of the checkouts that failed."""
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


sleep_idle = time.sleep


def observe_behaviour(pool_type: PoolType, database_url: str, monitor: ConnectionMonitor) -> PoolBehaviour:
    """Observe one pool for some seconds."""
    after_creation, after_one, after_small_burst = _observe_small_burst(pool_type, database_url, monitor)
    held, open_at_peak, after_large_burst = _observe_large_burst(pool_type, database_url, monitor)
    with _create_engine(pool_type, database_url, monitor) as engine:
        wait_when_full = _measure_wait_when_full(engine, held.checked_out) if held.errors else None
    is_recycled = _is_recycled(pool_type, database_url, monitor)
    failed_after_kill, closed_after_kill = _count_after_kills(pool_type, database_url, monitor, kill_all=False)
    failed_after_restart, _ = _count_after_kills(pool_type, database_url, monitor, kill_all=True)
    return PoolBehaviour(
        after_creation=after_creation,
        after_one=after_one,
        after_small_burst=after_small_burst,
        max_checked_out=held.checked_out,
        open_at_peak=open_at_peak,
        after_large_burst=after_large_burst,
        rejection_message=held.errors[0] if held.errors else "",
        rejected_after=max(held.waits, default=None),
        wait_when_full=wait_when_full,
        is_recycled=is_recycled,
        failed_after_kill=failed_after_kill,
        closed_after_kill=closed_after_kill,
        failed_after_restart=failed_after_restart,
    )


def _observe_small_burst(pool_type: PoolType, database_url: str, monitor: ConnectionMonitor) -> tuple[int, int, int]:
    """Return the connections of a new pool, after one use, and after a small burst."""
    with _create_engine(pool_type, database_url, monitor) as engine:
        after_creation = monitor.wait_until_settled()
        _fetch_connection_id(engine)
        after_one = monitor.wait_until_settled()
        with _holding_connections(engine, SMALL_BURST):
            pass
        return after_creation, after_one, monitor.wait_until_settled()


def _observe_large_burst(
    pool_type: PoolType, database_url: str, monitor: ConnectionMonitor
) -> tuple[_HeldConnections, int, int]:
    """Return a large burst's checkouts, and the connections during it and after it."""
    with _create_engine(pool_type, database_url, monitor) as engine:
        _fetch_connection_id(engine)
        with _holding_connections(engine, LARGE_BURST) as held:
            open_at_peak = monitor.wait_until_settled()
        return held, open_at_peak, monitor.wait_until_settled()


def _is_recycled(pool_type: PoolType, database_url: str, monitor: ConnectionMonitor) -> bool:
    with _create_engine(pool_type, database_url, monitor, recycle=MAX_AGE) as engine:
        first = _fetch_connection_id(engine)
        sleep_idle(IDLE_DURATION)
        return _fetch_connection_id(engine) != first


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
    """Let so many threads check out at once; the block runs when each has a connection or an error."""
    held = _HeldConnections()

    def hold_connection() -> None:
        started_at = time.monotonic()
        try:
            connection = engine.connect()
        except Exception as error:  # noqa: BLE001 - what a full pool says is what is asked
            with held.lock:
                held.waits.append(time.monotonic() - started_at)
                held.errors.append(summarize_error(error))
            return
        with held.lock:
            held.checked_out += 1
        held.release.wait()
        # The lock: threads may share a connection, and close it one after the other. A closed one may raise.
        with held.lock, suppress(Exception):
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        for _ in range(count):
            threads.submit(hold_connection)
        try:
            while held.checked_out + len(held.errors) < count:
                time.sleep(POLL_INTERVAL)
            yield held
        finally:
            held.release.set()


def _measure_wait_when_full(engine: Engine, connections: int) -> float:
    """Return how long a checkout waits at a full pool when a connection is returned after 0.4 s."""
    with _holding_connections(engine, connections) as held, ThreadPoolExecutor(1) as executor:
        started_at = time.monotonic()
        waiting = executor.submit(_fetch_connection_id, engine)
        time.sleep(HOLD_DURATION)
        held.release.set()
        waiting.result()
        return time.monotonic() - started_at


def _count_after_kills(
    pool_type: PoolType, database_url: str, monitor: ConnectionMonitor, *, kill_all: bool
) -> tuple[int, int]:
    """Return how many of ten uses failed, and how many healthy connections were closed."""
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
    """Check out five connections, then use each, as five simultaneous requests would; return how many failed."""
    failed, connections = 0, []
    for _ in range(SMALL_BURST):
        try:
            connections.append(engine.connect())
        except Exception:  # noqa: BLE001 - it is counted
            failed += 1
    for connection in connections:
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
