"""SQLAlchemy's QueuePool and ours, side by side and interleaved: `python bench/pool.py [--server [mysql|postgresql]]`.

Prints ratios of ours to stock, with the bound of each, and exits 1 when one is missed. Each is the median of five.
Connections are SQLite's, in memory: what is measured is the pool. With `--server` they are PyMySQL's to a MySQL, or
psycopg's to a PostgreSQL, that is started for it, and are held by statements; then the pool is one part of what is
measured.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from sqlalchemy.exc import TimeoutError  # noqa: A004 - the pool's
from sqlalchemy.pool import QueuePool

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.postgresql_server import PostgresqlServer, start_postgresql

THINK = 0.01
OPEN_LOOP, OPEN_HOLD, PATIENCE = 20.0, 0.01, 1.0
threading.stack_size(128 * 1024)
ROUNDS = 5
CYCLES = 20_000
THREADS, CONNECTIONS, HOLD, SECONDS = 40, 4, 0.002, 4.0
REQUESTS = 300
VISITORS = 1000
"""Threads of the open load: more than can wait in the second for which an answer is of use."""


@dataclass(frozen=True)
class Contended:
    """What forty threads on four connections got in `SECONDS`."""

    cycles: int
    p99_wait: float
    jain: float
    fewest: int


def in_memory() -> Any:
    """A connection to a database of its own; Any, for SQLite's class lacks what SQLAlchemy's protocol names."""
    return sqlite3.connect(":memory:", check_same_thread=False)


def sleep(connection: Any, seconds: float) -> None:
    """Hold a connection that has nothing to do."""
    time.sleep(seconds)


def sleep_on_server(connection: Any, seconds: float) -> None:
    """Hold a connection by a statement that takes so long."""
    with connection.cursor() as cursor:
        cursor.execute(backend.sleep, (seconds,))
        cursor.fetchall()


@dataclass
class Backend:
    """What the pools connect to, and how a connection is held."""

    connect: Callable[[], Any] = in_memory
    hold: Callable[[Any, float], None] = sleep
    sleep: str = ""
    """The statement that takes so many seconds."""


backend = Backend()


@contextmanager
def on_server(name: str) -> Iterator[None]:
    """Connect to a server of its own while the block runs; "": to SQLite in memory."""
    if not name:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        server = (connect_to_postgresql if name == "postgresql" else connect_to_mysql)(Path(folder) / "server")
        backend.hold = sleep_on_server
        try:
            yield
        finally:
            server.stop()


def connect_to_mysql(folder: Path) -> DatabaseServer:
    """Start a MySQL, and let the pools connect to it."""
    server = new_server("mysql", folder)
    backend.connect = lambda: pymysql.connect(host="127.0.0.1", port=server.port, user="root", ssl_disabled=True)
    backend.sleep = "SELECT SLEEP(%s)"
    return server


def connect_to_postgresql(folder: Path) -> PostgresqlServer:
    """Start a PostgreSQL, and let the pools connect to it."""
    server = start_postgresql(folder)
    backend.connect = lambda: psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", sslmode="disable"
    )
    backend.sleep = "SELECT pg_sleep(%s)"
    return server


def new_pool(pool_class: type[QueuePool], size: int, timeout: float = 60.0, **kw: Any) -> QueuePool:
    """A pool of connections to the backend."""
    return pool_class(backend.connect, pool_size=size, max_overflow=0, timeout=timeout, **kw)


def uncontended(pool: QueuePool, cycles: int) -> float:
    """Seconds of one checkout and return when no other thread wants a connection."""
    pool.connect().close()
    started_at = time.perf_counter()
    for _ in range(cycles):
        pool.connect().close()
    seconds = time.perf_counter() - started_at
    pool.dispose()
    return seconds / cycles


def contended(pool_class: type[QueuePool], think: float = 0.0) -> Contended:
    """Forty threads share four connections, each held for two milliseconds.

    Stock serves some threads all the time and others once: in a percentile of all waits those
    few long ones vanish. So each thread's own p99 is taken, and the mean of these over the
    threads: what a thread has to expect. `think` is the mean pause between two uses, in seconds.
    """
    pool = new_pool(pool_class, CONNECTIONS)
    waits: list[list[float]] = [[] for _ in range(THREADS)]
    start = threading.Barrier(THREADS)

    def work(own: list[float]) -> None:
        start.wait()
        end = time.perf_counter() + SECONDS
        while (asked_at := time.perf_counter()) < end:
            connection = pool.connect()
            own.append(time.perf_counter() - asked_at)
            backend.hold(connection, HOLD)
            connection.close()
            if think:
                time.sleep(random.expovariate(1 / think))

    with ThreadPoolExecutor(THREADS) as workers:
        list(workers.map(work, waits))
    pool.dispose()
    counts = [len(own) for own in waits]
    p99 = statistics.mean(sorted(own)[int(len(own) * 0.99)] for own in waits)
    jain = sum(counts) ** 2 / (THREADS * sum(count * count for count in counts))
    return Contended(sum(counts), p99, jain, min(counts))


def wait_after_failed_connect(pool_class: type[QueuePool]) -> float:
    """Seconds from a failed connect until the thread that waits for its slot has a connection; the time-out is 3 s."""
    failing, failed = threading.Event(), threading.Event()

    def creator() -> Any:
        if not failing.is_set():
            failing.set()
            failed.wait()
            raise sqlite3.OperationalError
        return backend.connect()

    pool = pool_class(creator, pool_size=1, max_overflow=0, timeout=3.0)
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(pool.connect)
        failing.wait()
        second = workers.submit(pool.connect)
        time.sleep(0.3)
        started_at = time.perf_counter()
        failed.set()
        first.exception()
        second.exception()
        seconds = time.perf_counter() - started_at
    pool.dispose()
    return seconds


def capacity() -> float:
    """Uses a second that four threads make of four connections, each held for 10 ms; no thread waits for another."""
    pool = new_pool(FairQueuePool, CONNECTIONS)
    ends_at = time.perf_counter() + OPEN_LOOP / 4

    def use() -> int:
        count = 0
        while time.perf_counter() < ends_at:
            connection = pool.connect()
            backend.hold(connection, OPEN_HOLD)
            connection.close()
            count += 1
        return count

    with ThreadPoolExecutor(CONNECTIONS) as workers:
        uses = sum(future.result() for future in [workers.submit(use) for _ in range(CONNECTIONS)])
    pool.dispose()
    return uses / (OPEN_LOOP / 4)


def goodput(pool: QueuePool, load: float, per_second: float) -> float:
    """Useful answers as a share of capacity, when requests come whether or not others are answered.

    Four connections held for 10 ms serve `per_second` requests; `load` times as many come for `OPEN_LOOP` seconds, at
    even moments. An answer is useful within a second of the moment its request was meant to come: then its client has
    given up.
    """
    useful: list[bool] = []
    count = int(load * per_second * OPEN_LOOP)
    begin = time.perf_counter() + 0.5

    def ask(meant: float) -> None:
        time.sleep(max(0.0, meant - time.perf_counter()))
        try:
            connection = pool.connect()
        except TimeoutError:
            return
        backend.hold(connection, OPEN_HOLD)
        connection.close()
        useful.append(time.perf_counter() - meant < PATIENCE)

    numbers = itertools.count()

    def come_and_go() -> None:
        # A thread for each request would be thousands that sleep: then the load is what is measured.
        while (number := next(numbers)) < count:
            ask(begin + number * OPEN_LOOP / count)

    threads = [threading.Thread(target=come_and_go) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    return sum(useful) / (per_second * OPEN_LOOP)


def interactive_p99(interactive: QueuePool, background: QueuePool) -> float:
    """Seconds that a request waits (p99), while sixteen threads of background work want connections without a pause."""
    done = threading.Event()

    def import_for_ever() -> None:
        while not done.is_set():
            connection = background.connect()
            backend.hold(connection, OPEN_HOLD)
            connection.close()

    def serve() -> list[float]:
        waits = []
        for _ in range(REQUESTS):
            asked_at = time.perf_counter()
            connection = interactive.connect()
            waits.append(time.perf_counter() - asked_at)
            backend.hold(connection, HOLD)
            connection.close()
            time.sleep(HOLD)
        return waits

    importers = [threading.Thread(target=import_for_ever) for _ in range(16)]
    for thread in importers:
        thread.start()
    with ThreadPoolExecutor(CONNECTIONS) as workers:
        served = [workers.submit(serve) for _ in range(CONNECTIONS)]
        waits = sorted(wait for future in served for wait in future.result())
    done.set()
    for thread in importers:
        thread.join()
    return waits[int(len(waits) * 0.99)]


def lanes_by_turns() -> float:
    """The median ratio of a request's p99 wait with a lane of its own to that on a pool shared with imports."""
    ratios = []
    for _ in range(ROUNDS):
        shared = new_pool(FairQueuePool, CONNECTIONS + 2)
        together = interactive_p99(shared, shared)
        apart = interactive_p99(new_pool(FairQueuePool, CONNECTIONS), new_pool(FairQueuePool, 2))
        ratios.append(apart / together)
        shared.dispose()
    return statistics.median(ratios)


def uncontended_by_turns() -> dict[str, float]:
    """Median ratios to stock of one cycle: ours bare, with statistics, and with an engine's leak detector as well."""
    kinds: dict[str, Callable[[], QueuePool]] = {
        "bare": lambda: new_pool(FairQueuePool, 1),
        "statistics": lambda: new_pool(FairQueuePool, 1, statistics=PoolStatistics()),
    }
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    # On a server each return is a round trip, the ROLLBACK of both.
    cycles = CYCLES if backend.hold is sleep else CYCLES // 10
    for _ in range(2 * ROUNDS - 1):
        stock = uncontended(new_pool(QueuePool, 1), cycles)
        for kind, make in kinds.items():
            ratios[kind].append(uncontended(make(), cycles) / stock)
    return {kind: statistics.median(values) for kind, values in ratios.items()}


def goodput_by_turns(load: float) -> tuple[float, float]:
    """Medians of ours and stock's useful answers, as a share of the capacity that is measured before each."""
    ours, stock = [], []
    for _ in range(ROUNDS):
        per_second = capacity()
        ours.append(goodput(new_pool(FairQueuePool, CONNECTIONS, 30.0, shedding=CoDel()), load, per_second))
        stock.append(goodput(new_pool(QueuePool, CONNECTIONS, 30.0), load, per_second))
    print(f"       goodput at {load:g} × capacity, each: {', '.join(f'{share:.3f}' for share in ours)}")
    return statistics.median(ours), statistics.median(stock)


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--server",
        nargs="?",
        const="mysql",
        default="",
        choices=("mysql", "postgresql"),
        help="connect to a real server",
    )
    arguments = parser.parse_args()
    with on_server(arguments.server):
        measure()


def measure() -> None:
    """Measure, print, judge."""
    missed = []

    def row(what: str, value: float, bound: float, *, at_most: bool, unit: str = "×") -> None:
        good = value <= bound if at_most else value >= bound
        missed.extend([] if good else [what])
        sign = "≤" if at_most else "≥"
        print(f"{'ok    ' if good else 'MISSED'} {what:<64} {value:8.3f} {unit:<3} (bound {sign} {bound:g})")

    cycle = uncontended_by_turns()
    row("uncontended cycle, statistics off, ours / stock", cycle["bare"], 1.0, at_most=True)
    row("uncontended cycle, statistics on, ours / stock", cycle["statistics"], 1.3, at_most=True)
    pairs = [(contended(QueuePool), contended(FairQueuePool)) for _ in range(ROUNDS)]
    throughput = statistics.median(ours.cycles / stock.cycles for stock, ours in pairs)
    p99 = statistics.median(ours.p99_wait / stock.p99_wait for stock, ours in pairs)
    paused = [(contended(QueuePool, THINK), contended(FairQueuePool, THINK)) for _ in range(ROUNDS)]
    row("40 threads, 4 connections: throughput, ours / stock", throughput, 0.95, at_most=False)
    row("40 threads, 4 connections: p99 wait, ours / stock", p99, 0.5, at_most=True)
    row("Jain index of grants, ours", min(ours.jain for _, ours in pairs), 0.99, at_most=False, unit="")
    row("fewest grants of a thread, ours", min(ours.fewest for _, ours in pairs), 1, at_most=False, unit="")
    row("served after a failed connect, ours", wait_after_failed_connect(FairQueuePool), 0.05, at_most=True, unit="s")
    stock = [result for result, _ in pairs]
    print(
        f"       stock beside it: Jain {min(result.jain for result in stock):.3f}, fewest grants "
        f"{min(result.fewest for result in stock)}, after a failed connect {wait_after_failed_connect(QueuePool):.3f} s"
    )
    gentle = statistics.median(ours.p99_wait / stock.p99_wait for stock, ours in paused)
    print(f"       with pauses of {THINK * 1000:.0f} ms between uses: p99 wait, ours / stock {gentle:.3f} ×")
    row("a request's p99 wait while imports want all: lanes / one pool", lanes_by_turns(), 0.1, at_most=True)
    print(f"       capacity as measured / 4 connections of 10 ms: {capacity() / (CONNECTIONS / OPEN_HOLD):.3f}")
    for load, bound in ((1.1, 0.97), (2.0, 0.95)):
        ours_share, stock_share = goodput_by_turns(load)
        row(f"goodput at {load:g} × capacity, ours / capacity", ours_share, bound, at_most=False, unit="")
        print(f"       stock beside it: {stock_share:.3f}")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
