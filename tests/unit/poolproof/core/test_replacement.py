"""A fair pool in the place of another: its arguments, its listeners, and nothing of its state."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import AssertionPool, NullPool, Pool, QueuePool

from poolproof.core.codel import CoDel
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.replacement import can_be_replaced, fair_pool_like, pings_every_checkout
from poolproof.core.stats import PoolStatistics


def connect() -> Any:
    return sqlite3.connect(":memory:", check_same_thread=False)


@pytest.mark.parametrize("pool_class", [QueuePool, FairQueuePool])
def test_arguments_and_listeners_are_taken_over(pool_class: type[QueuePool]) -> None:
    pool = pool_class(connect, pool_size=2, max_overflow=1, timeout=7, recycle=9, pre_ping=True, reset_on_return=None)
    opened: list[object] = []
    event.listen(pool, "connect", lambda connection, record: opened.append(connection))
    pool.connect().close()
    statistics = PoolStatistics()
    fair: Any = fair_pool_like(pool, max_waiting=5, shedding=CoDel(0.5), statistics=statistics)
    assert (fair.size(), fair.limit(), fair.timeout(), fair._recycle, pings_every_checkout(fair)) == (2, 3, 7, 9, True)
    assert fair._reset_on_return is pool._reset_on_return
    assert (fair.statistics, fair._wait_queue.max_waiting, fair._wait_queue.shedding) == (statistics, 5, CoDel(0.5))
    assert (pool.checkedin(), fair.checkedin()) == (0, 0)
    fair.connect().close()
    assert len(opened) == 2
    fair.dispose()


def test_a_pool_without_a_limit_stays_without() -> None:
    fair = fair_pool_like(QueuePool(connect, pool_size=0), max_waiting=None, shedding=None, statistics=None)
    assert fair.limit() == float("inf")


@pytest.mark.parametrize("pool_class", [NullPool, AssertionPool])
def test_no_other_class_is_replaced(pool_class: type[Pool]) -> None:
    assert not can_be_replaced(pool_class(connect))
