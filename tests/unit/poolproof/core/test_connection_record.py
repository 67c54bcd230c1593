"""A slot and its connection: when it is renewed, why it was closed, and that no connection is kept open by an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from poolproof.core.connection_record import (
    LIFETIME_JITTER,
    MonotonicRecord,
    close_all,
    invalidate_older_connections,
    last_used_at,
    set_recycle,
)
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import PoolStatistics
from tests.support.clock import SettableClock

RECYCLE = 100


@pytest.fixture
def pool(clock: SettableClock) -> Iterator[FairQueuePool]:
    clock.stop()
    pool = FairQueuePool(lambda: sqlite3.connect(":memory:"), pool_size=2, statistics=PoolStatistics(), recycle=RECYCLE)
    yield pool
    pool.dispose()


def closed(pool: FairQueuePool) -> dict[str, int]:
    assert pool.statistics is not None
    return pool.statistics.snapshot().closed


def test_a_connection_is_renewed_at_its_age_and_not_before(pool: FairQueuePool, clock: SettableClock) -> None:
    record = MonotonicRecord(pool, pool.statistics)
    first = record.get_connection()
    clock.advance(RECYCLE * (1 - LIFETIME_JITTER) - 1)
    assert record.get_connection() is first
    assert not record.is_expired()
    clock.advance(RECYCLE)
    assert record.is_expired()
    assert record.get_connection() is not first
    assert closed(pool) == {"age": 1}
    record.close()


def test_all_connections_that_are_open_are_renewed_when_the_pool_says_so(
    pool: FairQueuePool, clock: SettableClock
) -> None:
    record = MonotonicRecord(pool, pool.statistics)
    first = record.get_connection()
    clock.advance(1)
    invalidate_older_connections(pool)
    clock.advance(1)
    second = record.get_connection()
    assert second is not first
    assert record.get_connection() is second
    assert closed(pool) == {"invalidated": 1}
    record.close()


def test_a_new_age_holds_from_the_next_connect_and_for_a_pool_made_anew(
    pool: FairQueuePool, clock: SettableClock
) -> None:
    set_recycle(pool, 10)
    record = MonotonicRecord(pool, None)
    clock.advance(11)
    assert record.is_expired()
    again = MonotonicRecord(pool.recreate(), None)
    clock.advance(11)
    assert again.is_expired()
    record.close()
    again.close()


def test_a_soft_invalidation_renews_at_the_next_checkout_only(pool: FairQueuePool, clock: SettableClock) -> None:
    record = MonotonicRecord(pool, pool.statistics)
    first = record.get_connection()
    clock.advance(1)
    record.invalidate(soft=True)
    assert record.dbapi_connection is first
    assert record.get_connection() is not first
    record.close()


def test_a_connection_is_closed_although_a_listener_raises(
    pool: FairQueuePool, caplog: pytest.LogCaptureFixture
) -> None:
    record = MonotonicRecord(pool, pool.statistics)
    connection = record.get_connection()

    @event.listens_for(pool, "close")
    def fail(dbapi_connection: object, record: object) -> None:
        raise RuntimeError("a listener raises")

    close_all([record], "idle")
    assert "a listener raises" in caplog.text
    assert closed(pool) == {"idle": 1}
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        connection.cursor()


def test_a_slot_that_is_given_up_leaves_its_counters_to_the_next(pool: FairQueuePool) -> None:
    first = MonotonicRecord(pool, pool.statistics)
    counters = first.counters
    first.retire("idle")
    second = MonotonicRecord(pool, pool.statistics)
    assert second.counters is counters
    second.close()


def test_before_the_first_use_a_connection_was_never_used(pool: FairQueuePool) -> None:
    record = MonotonicRecord(pool, None)
    assert last_used_at(record) == 0.0
    record.close()
