"""What a caller is told that gets no connection."""

from __future__ import annotations

import sqlite3

import pytest

from poolproof.core import rejections
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics


@pytest.fixture
def pool() -> FairQueuePool:
    return FairQueuePool(lambda: sqlite3.connect(":memory:"), pool_size=2, statistics=PoolStatistics())


def test_each_rejection_is_counted_by_its_reason(pool: FairQueuePool) -> None:
    rejections.queue_full(pool)
    for _ in range(2):
        rejections.shed(pool, 0.5)
    rejections.timed_out(pool, 2.0)
    assert pool.statistics is not None
    counted = pool.statistics.snapshot()
    assert (counted.refused, counted.shed, counted.timeouts) == (1, 2, 1)


def test_the_text_names_the_limit_the_wait_and_a_suspended_pool(pool: FairQueuePool) -> None:
    assert "limit of 2 connections reached: none came back within 2.00 s" in str(rejections.timed_out(pool, 2.0))
    pool.suspend()
    assert "suspended" in str(rejections.timed_out(pool, 2.0))
