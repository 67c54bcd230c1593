"""A connection that comes back while another thread holds the lock of the pool."""

from __future__ import annotations

import sqlite3
import threading
from types import TracebackType
from typing import Any

from sqlalchemy import event

from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics


def new_pool(**options: Any) -> FairQueuePool:
    return FairQueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False), statistics=PoolStatistics(), **options
    )


class LockWithReturn:
    """A lock, just before whose next release another connection comes back, as in a garbage collection."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.returning: Any = None

    def acquire(self, *, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        returning, self.returning = self.returning, None
        if returning is not None:
            returning.close()
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def test_what_came_back_is_lent_before_surplus_is_closed() -> None:
    pool = new_pool(pool_size=2)
    first, second = pool.connect(), pool.connect()
    left_at_close: list[int] = []
    event.listen(pool, "close", lambda *rest: left_at_close.append(len(pool._slots.returned)))
    pool.resize(1)
    pool._slots.lock = lock = LockWithReturn(pool._slots.lock)  # type: ignore[assignment]
    lock.returning = second
    # Above the limit: it is closed; meanwhile the other one has come back.
    first.close()
    assert left_at_close == [0]
    pool.dispose()
