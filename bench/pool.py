"""SQLAlchemy's QueuePool and ours, side by side and interleaved: `PYTHONPATH=. python bench/pool.py`.

Prints ratios of ours to stock, with the bound of each, and exits 1 when one is missed. Each is the median of five.
Connections are SQLite's, in memory: what is measured is the pool. Empty cycles and the order in which threads are
served are measured on a MySQL (PyMySQL) and a PostgreSQL (psycopg) as well, which are started for it; there connections
are held by statements. `--brief` measures these two alone, `--server` everything on one server.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import TimeoutError  # noqa: A004 - the pool's
from sqlalchemy.pool import QueuePool

from bench import empty_cycles
from bench.pool_backends import backend, on_server
from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool

THINK = 0.01
OPEN_LOOP, OPEN_HOLD, PATIENCE = 20.0, 0.01, 1.0
threading.stack_size(128 * 1024)
ROUNDS = 5
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


def new_pool(pool_class: type[QueuePool], size: int, timeout: float = 60.0, **kw: Any) -> QueuePool:
    """A pool of connections to the backend."""
    return pool_class(backend.connect, pool_size=size, max_overflow=0, timeout=timeout, **kw)


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
    parser.add_argument("--server", choices=("mysql", "postgresql"), help="measure all of it on a server")
    parser.add_argument("--brief", action="store_true", help="empty cycles and order alone, on all three")
    arguments = parser.parse_args()
    verdict = Verdict()
    if arguments.server:
        with on_server(arguments.server):
            measure_cycles(verdict)
            measure_all(verdict)
    else:
        for server in ("", "mysql", "postgresql"):
            with on_server(server):
                print(backend.url.partition(":")[0])
                measure_cycles(verdict)
                if server or arguments.brief:
                    pairs = [(contended(QueuePool), contended(FairQueuePool)) for _ in range(ROUNDS)]
                    measure_order(verdict, pairs)
                else:
                    measure_all(verdict)
    if verdict.missed:
        sys.exit(f"missed: {', '.join(verdict.missed)}")


@dataclass
class Verdict:
    """Prints each figure with its bound, and keeps what has missed one."""

    missed: list[str] = field(default_factory=list)

    def row(self, what: str, value: float, bound: float, *, at_most: bool, unit: str = "×") -> None:
        """Judge one figure."""
        good = value <= bound if at_most else value >= bound
        self.missed.extend([] if good else [what])
        sign = "≤" if at_most else "≥"
        print(f"{'ok    ' if good else 'MISSED'} {what:<64} {value:8.3f} {unit:<3} (bound {sign} {bound:g})")


def measure_cycles(verdict: Verdict) -> None:
    """Compare empty cycles, by processor time."""
    cycle = empty_cycles.ratios_to_stock(2 * ROUNDS - 1)
    verdict.row("empty cycle, metrics off, ours / stock", cycle["pool"], 1.0, at_most=True)
    verdict.row("empty cycle, metrics on, ours / stock", cycle["pool, metrics"], 1.3, at_most=True)
    off, on = cycle["adopted"], cycle["adopted, metrics"]
    print(f"       with every checkout and its line recorded (adopted): metrics off {off:.3f} ×, on {on:.3f} ×")


def measure_order(verdict: Verdict, pairs: Sequence[tuple[Contended, Contended]]) -> None:
    """Judge how alike the threads are served."""
    verdict.row("Jain index of grants, ours", min(ours.jain for _, ours in pairs), 0.99, at_most=False, unit="")
    verdict.row("fewest grants of a thread, ours", min(ours.fewest for _, ours in pairs), 1, at_most=False, unit="")
    stock = [result for result, _ in pairs]
    fewest = min(result.fewest for result in stock)
    print(f"       stock beside it: Jain {min(result.jain for result in stock):.3f}, fewest grants {fewest}")


def measure_all(verdict: Verdict) -> None:
    """Judge waits, order, failures and overloads."""
    row = verdict.row
    pairs = [(contended(QueuePool), contended(FairQueuePool)) for _ in range(ROUNDS)]
    throughput = statistics.median(ours.cycles / stock.cycles for stock, ours in pairs)
    p99 = statistics.median(ours.p99_wait / stock.p99_wait for stock, ours in pairs)
    paused = [(contended(QueuePool, THINK), contended(FairQueuePool, THINK)) for _ in range(ROUNDS)]
    row("40 threads, 4 connections: throughput, ours / stock", throughput, 0.95, at_most=False)
    row("40 threads, 4 connections: p99 wait, ours / stock", p99, 0.5, at_most=True)
    measure_order(verdict, pairs)
    row("served after a failed connect, ours", wait_after_failed_connect(FairQueuePool), 0.05, at_most=True, unit="s")
    print(f"       stock beside it: {wait_after_failed_connect(QueuePool):.3f} s")
    gentle = statistics.median(ours.p99_wait / stock.p99_wait for stock, ours in paused)
    print(f"       with pauses of {THINK * 1000:.0f} ms between uses: p99 wait, ours / stock {gentle:.3f} ×")
    row("a request's p99 wait while imports want all: lanes / one pool", lanes_by_turns(), 0.1, at_most=True)
    print(f"       capacity as measured / 4 connections of 10 ms: {capacity() / (CONNECTIONS / OPEN_HOLD):.3f}")
    for load, bound in ((1.1, 0.97), (2.0, 0.95)):
        ours_share, stock_share = goodput_by_turns(load)
        row(f"goodput at {load:g} × capacity, ours / capacity", ours_share, bound, at_most=False, unit="")
        print(f"       stock beside it: {stock_share:.3f}")


if __name__ == "__main__":
    main()
