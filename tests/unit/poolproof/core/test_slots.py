"""The slots of a pool, without a pool: what is idle, what is granted, what has to be closed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator

import pytest

from poolproof.core.connection_record import LAST_USED_AT, MonotonicRecord
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.slots import Slots
from poolproof.core.wait_queue import WaitQueue


@pytest.fixture
def records() -> Iterator[list[MonotonicRecord]]:
    pool = FairQueuePool(lambda: sqlite3.connect(":memory:"))
    made = [MonotonicRecord(pool, None) for _ in range(3)]
    yield made
    for record in made:
        record.close()


def new_slots(queue: WaitQueue, size: int, max_overflow: int = 0, *, total: int = 0) -> Slots:
    slots = Slots(queue)
    slots.set_bounds(size, max_overflow)
    slots.total = total
    return slots


@pytest.fixture
def queue() -> WaitQueue:
    return WaitQueue(None, None)


@pytest.mark.parametrize(
    ("size", "max_overflow", "limit", "max_idle"), [(3, 2, 5, 3), (3, -1, math.inf, 3), (0, -1, math.inf, math.inf)]
)
def test_the_bounds_are_those_of_a_queue_pool(
    queue: WaitQueue, size: int, max_overflow: int, limit: float, max_idle: float
) -> None:
    slots = new_slots(queue, size, max_overflow)
    assert (slots.limit, slots.max_idle) == (limit, max_idle)


def test_what_was_returned_goes_to_the_first_who_waits_and_only_then_idle(
    queue: WaitQueue, records: list[MonotonicRecord]
) -> None:
    slots = new_slots(queue, 3, total=3)
    waiter = queue.enqueue()
    slots.returned.extend(records[:2])
    assert slots.distribute_returned() is None
    assert (waiter.granted, waiter.record) == (True, records[0])
    assert list(slots.idle) == [records[1]]


def test_what_may_not_be_idle_is_surplus_and_its_slot_counts_until_it_is_closed(
    queue: WaitQueue, records: list[MonotonicRecord]
) -> None:
    slots = new_slots(queue, 1, max_overflow=1, total=2)
    slots.returned.extend(records[:2])
    assert slots.distribute_returned() == [records[1]]
    assert (slots.total, slots.closing, slots.has_free()) == (1, 1, False)
    slots.release(closed=1)
    assert slots.has_free()


def test_a_slot_that_becomes_free_is_granted_to_who_waits(queue: WaitQueue) -> None:
    slots = new_slots(queue, 1, total=1)
    waiter = queue.enqueue()
    slots.release(lent=1)
    assert (waiter.granted, waiter.record, slots.total) == (True, None, 1)


def test_a_smaller_pool_gives_up_what_is_idle_above_its_size(queue: WaitQueue, records: list[MonotonicRecord]) -> None:
    slots = new_slots(queue, 3, total=3)
    slots.idle.extend(records)
    slots.set_bounds(1, 0)
    assert slots.take_surplus() == records[:2]
    assert (list(slots.idle), slots.total, slots.closing) == ([records[2]], 1, 2)


def test_a_connection_that_was_taken_out_comes_back_at_its_place_in_the_order_of_use(
    queue: WaitQueue, records: list[MonotonicRecord]
) -> None:
    slots = new_slots(queue, 3, total=3)
    for used_at, record in enumerate(records, start=1):
        record.info[LAST_USED_AT] = float(used_at)
    slots.idle.extend(records)
    borrowed = slots.borrow_idle(lambda record, idle: f"one of {idle}" if record is records[1] else None)
    assert borrowed is not None
    assert (borrowed.record, borrowed.action, borrowed.close_reason) == (records[1], "one of 3", None)
    assert list(slots.idle) == [records[0], records[2]]
    assert slots.return_idle(records[1])
    assert list(slots.idle) == records


def test_a_connection_that_was_taken_out_is_not_put_back_past_who_waits(
    queue: WaitQueue, records: list[MonotonicRecord]
) -> None:
    slots = new_slots(queue, 1, total=1)
    queue.enqueue()
    assert not slots.return_idle(records[0])
    assert not slots.idle


def test_a_record_whose_connection_is_gone_is_not_kept_idle(queue: WaitQueue, records: list[MonotonicRecord]) -> None:
    slots = new_slots(queue, 3, total=2)
    records[0].invalidate()
    slots.returned.extend(records[:2])
    assert slots.distribute_returned() == [records[0]]
    assert (list(slots.idle), slots.total) == ([records[1]], 1)


def test_what_is_taken_back_from_nobody_is_not_kept(queue: WaitQueue, records: list[MonotonicRecord]) -> None:
    slots = new_slots(queue, 3, total=1)
    slots.reclaim(records[0])
    assert (slots.total, slots.closing, list(slots.idle)) == (0, 0, [])
    assert records[0].dbapi_connection is None
