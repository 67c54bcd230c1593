"""Measures what it costs to split a budget among processes, and what overflow does.

`PYTHONPATH=. python bench/pool_splitting.py`

Sixteen connections as one pool or as four, loaded to 80 %: requests arrive at random (Poisson) and hold a connection
for 10 ms in the mean (exponential), in the second case each of one of the four. The measured p99 wait is printed with
that of Erlang's C formula. Then ten bursts of ten on SQLAlchemy's own pool, with and without overflow: how often it
connects. Connections are SQLite's, in memory: what is measured is the pool. Exits 1 when splitting does not cost at
least twice the wait, or overflow does not connect at least twice as often.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.pool import QueuePool

from bench.pool import new_pool
from bench.pool_backends import in_memory
from poolproof.core.queue_pool import FairQueuePool
from poolproof.lab.loadgen.load_profile import poisson_arrivals
from poolproof.lab.reporting.latency import percentile

CONNECTIONS, PARTS, USE, HOLD = 16, 4, 0.8, 0.01
SECONDS, ROUNDS = 20.0, 3
THREADS = 200
BURSTS = 10


def p99_wait(pools: Sequence[QueuePool], seed: int) -> float:
    """Return the p99 of the seconds from a request's intended arrival until it has a connection, at 80 % load."""
    rng = random.Random(seed)
    arrivals = poisson_arrivals(rng, USE * CONNECTIONS / HOLD, SECONDS)
    plans = [(arrival, rng.choice(pools), rng.expovariate(1 / HOLD)) for arrival in arrivals]
    waits: list[float] = []
    numbers = itertools.count()
    started_at = time.perf_counter() + 0.5

    def make_requests() -> None:
        while (number := next(numbers)) < len(plans):
            arrival, pool, hold = plans[number]
            time.sleep(max(0.0, started_at + arrival - time.perf_counter()))
            connection = pool.connect()
            waits.append(time.perf_counter() - started_at - arrival)
            time.sleep(hold)
            connection.close()

    threads = [threading.Thread(target=make_requests) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in pools:
        pool.dispose()
    return percentile(sorted(waits), 0.99)


def erlang(connections: int) -> float:
    """Return the p99 wait in seconds of M/M/c at `USE` (A. K. Erlang, 1917): P(wait > t) = C · e^(−(cμ − λ)t)."""
    load = USE * connections
    all_busy = load**connections / math.factorial(connections) / (1 - USE)
    waiting_share = all_busy / (sum(load**k / math.factorial(k) for k in range(connections)) + all_busy)
    return math.log(waiting_share / 0.01) * HOLD / (connections * (1 - USE))


def connects(size: int, overflow: int) -> int:
    """Return how often SQLAlchemy's pool connects in ten bursts of ten."""
    connections: list[int] = []

    def creator() -> Any:
        connections.append(1)
        return in_memory()

    pool = QueuePool(creator, pool_size=size, max_overflow=overflow)
    barrier = threading.Barrier(BURSTS)

    def use(_: int) -> None:
        connection = pool.connect()
        barrier.wait()
        connection.close()
        barrier.wait()

    with ThreadPoolExecutor(BURSTS) as threads:
        for _ in range(BURSTS):
            list(threads.map(use, range(BURSTS)))
    pool.dispose()
    return len(connections)


def main() -> None:
    """Measure by turns, print, and check."""
    single_waits, split_waits = [], []
    for seed in range(ROUNDS):
        single_waits.append(p99_wait([new_pool(FairQueuePool, CONNECTIONS)], seed))
        split_waits.append(p99_wait([new_pool(FairQueuePool, CONNECTIONS // PARTS) for _ in range(PARTS)], seed))
    single, split = statistics.median(single_waits), statistics.median(split_waits)
    print(f"p99 wait at {USE:.0%}, medians of {ROUNDS} rounds")
    print(f"  one pool of {CONNECTIONS}:   {single * 1000:5.1f} ms (Erlang C {erlang(CONNECTIONS) * 1000:.1f})")
    part = CONNECTIONS // PARTS
    print(f"  {PARTS} pools of {part}:   {split * 1000:5.1f} ms (Erlang C {erlang(part) * 1000:.1f})")
    with_overflow, without_overflow = connects(2, 8), connects(10, 0)
    counts = f"size 2 + overflow 8 connects {with_overflow} times, size 10 + overflow 0 {without_overflow} times"
    print(f"ten bursts of ten: {counts}")
    if split < 2 * single or with_overflow < 2 * without_overflow:
        sys.exit("missed")


if __name__ == "__main__":
    main()
