"""What a fair pool says of itself, in QueuePool's words and in ours."""

from __future__ import annotations

import sqlite3
import threading

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from tests.support.waiting import wait_until


def test_a_pool_says_what_is_lent_idle_and_waited_for() -> None:
    pool = FairQueuePool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False), pool_size=1, max_overflow=1, shedding=CoDel()
    )
    first, second = pool.connect(), pool.connect()
    assert (pool.size(), pool.checkedout(), pool.checkedin(), pool.overflow(), pool.limit()) == (1, 2, 0, 1, 2)
    waiter = threading.Thread(target=lambda: pool.connect().close())
    waiter.start()
    wait_until(lambda: pool.waiting() == 1)
    assert [one.owner_name() for one in pool.waiters()] == [waiter.name]
    assert pool.oldest_wait() > 0
    assert pool.status().endswith("Waiting: 1")
    first.close()
    waiter.join()
    second.close()
    assert (pool.checkedout(), pool.idle_connections(), pool.max_idle(), pool.oldest_wait()) == (0, 1, 1, 0.0)
    assert not pool.is_overloaded()
    pool.dispose()
