"""What a checkout and return costs when no other thread wants a connection: its processor time, beside stock's.

On a busy machine the time on the wall says nothing of it, and the two are measured by turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import QueuePool

from bench.pool_backends import backend
from poolproof import AdoptSettings, FairQueuePool, adopt
from poolproof.core.stats import PoolStatistics

CYCLES = 1000


def new_engine(pool_class: type[QueuePool], **options: Any) -> Engine:
    """Make an engine with one connection to the backend."""
    return create_engine(
        backend.url, creator=backend.connect, poolclass=pool_class, pool_size=1, max_overflow=0, **options
    )


KINDS: dict[str, Callable[[], Engine]] = {
    "stock": lambda: new_engine(QueuePool),
    "pool": lambda: new_engine(FairQueuePool),
    "pool, metrics": lambda: new_engine(FairQueuePool, statistics=PoolStatistics()),
    "adopted": lambda: adopt(new_engine(QueuePool), settings=AdoptSettings(metrics=False)),
    "adopted, metrics": lambda: adopt(new_engine(QueuePool)),
}


def seconds(engine: Engine) -> float:
    """Return the processor time of some cycles in this thread."""
    started_at = time.thread_time()
    for _ in range(CYCLES):
        engine.pool.connect().close()
    return time.thread_time() - started_at


def ratios_to_stock(rounds: int) -> dict[str, float]:
    """Return the median ratio to stock's for each kind."""
    engines = {kind: make() for kind, make in KINDS.items()}
    for engine in engines.values():
        engine.pool.connect().close()
    ratios: dict[str, list[float]] = {kind: [] for kind in engines}
    for _ in range(rounds):
        stock = seconds(engines["stock"])
        for kind, engine in engines.items():
            ratios[kind].append(seconds(engine) / stock)
    for engine in engines.values():
        engine.dispose()
    return {kind: statistics.median(values) for kind, values in ratios.items()}
