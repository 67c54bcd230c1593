"""Measures what it costs to split a budget among processes, and what overflow does.

`PYTHONPATH=. python bench/pool_splitting.py`

Sixteen connections as one pool or as four, loaded to 80 %: requests come at random (Poisson) and hold for 10 ms in the
mean (exponentially), in the second case each at one of the four. Beside the measured p99 wait stands that of Erlang's C
formula. Then ten bursts of ten on SQLAlchemy's own pool, with and without overflow: how often it connects. Connections
are SQLite's, in memory: what is measured is the pool. Exits 1 when splitting does not cost at least twice the wait, or
overflow does not connect at least twice as often.
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

from bench.pool import in_memory, new_pool
from poolproof.core.queue_pool import FairQueuePool

CONNECTIONS, PARTS, USE, HOLD = 16, 4, 0.8, 0.01
SECONDS, ROUNDS = 20.0, 3
THREADS = 200
BURSTS = 10


def p99_wait(pools: Sequence[QueuePool], seed: int) -> float:
    """Seconds from the moment a request was meant to come until it has a connection, at 80 % of all pools."""
    draw = random.Random(seed)
    rate = USE * CONNECTIONS / HOLD
    moments = list(itertools.accumulate(draw.expovariate(rate) for _ in range(int(rate * SECONDS))))
    plans = [(moment, draw.choice(pools), draw.expovariate(1 / HOLD)) for moment in moments]
    waits: list[float] = []
    numbers = itertools.count()
    begin = time.perf_counter() + 0.5

    def come_and_go() -> None:
        while (number := next(numbers)) < len(plans):
            moment, pool, hold = plans[number]
            time.sleep(max(0.0, begin + moment - time.perf_counter()))
            connection = pool.connect()
            waits.append(time.perf_counter() - begin - moment)
            time.sleep(hold)
            connection.close()

    threads = [threading.Thread(target=come_and_go) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in pools:
        pool.dispose()
    return sorted(waits)[int(len(waits) * 0.99)]


def erlang(connections: int) -> float:
    """Return the p99 wait in seconds of M/M/c at `USE` (A. K. Erlang, 1917): P(wait > t) = C · e^(−(cμ − λ)t)."""
    load = USE * connections
    last = load**connections / math.factorial(connections) / (1 - USE)
    waits = last / (sum(load**k / math.factorial(k) for k in range(connections)) + last)
    return math.log(waits / 0.01) * HOLD / (connections * (1 - USE))


def connects(size: int, overflow: int) -> int:
    """Return how often SQLAlchemy's pool connects for ten bursts of ten."""
    made: list[int] = []

    def creator() -> Any:
        made.append(1)
        return in_memory()

    pool = QueuePool(creator, pool_size=size, max_overflow=overflow)
    all_there = threading.Barrier(BURSTS)

    def use(_: int) -> None:
        connection = pool.connect()
        all_there.wait()
        connection.close()
        all_there.wait()

    with ThreadPoolExecutor(BURSTS) as threads:
        for _ in range(BURSTS):
            list(threads.map(use, range(BURSTS)))
    pool.dispose()
    return len(made)


def main() -> None:
    """Measure by turns, print, judge."""
    whole, split = [], []
    for seed in range(ROUNDS):
        whole.append(p99_wait([new_pool(FairQueuePool, CONNECTIONS)], seed))
        split.append(p99_wait([new_pool(FairQueuePool, CONNECTIONS // PARTS) for _ in range(PARTS)], seed))
    one, four = statistics.median(whole), statistics.median(split)
    print(f"p99 wait at {USE:.0%}, medians of {ROUNDS} rounds")
    print(f"  one pool of {CONNECTIONS}:   {one * 1000:5.1f} ms (Erlang C {erlang(CONNECTIONS) * 1000:.1f})")
    part = CONNECTIONS // PARTS
    print(f"  {PARTS} pools of {part}:   {four * 1000:5.1f} ms (Erlang C {erlang(part) * 1000:.1f})")
    churned, kept = connects(2, 8), connects(10, 0)
    print(f"ten bursts of ten: size 2 + overflow 8 connects {churned} times, size 10 + overflow 0 {kept} times")
    if four < 2 * one or churned < 2 * kept:
        sys.exit("missed")


if __name__ == "__main__":
    main()
