from __future__ import annotations

import pytest

from poolproof.errors import PoolQueueFullError
from poolproof.transactions import commit_queue
from poolproof.transactions.commit_queue import CommitQueue, Entry
from tests.support.clock import SettableClock


def entry(value: int, deadline: float = 1e9) -> Entry[int, int]:
    return Entry(value, deadline, lambda result, error: None)


def values(entries: list[Entry[int, int]]) -> list[int]:
    return [one.value for one in entries]


@pytest.fixture
def queue() -> CommitQueue[int, int]:
    return CommitQueue()


def test_a_batch_has_those_who_wait_in_their_order_and_a_bound(
    queue: CommitQueue[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_queue, "MAX_BATCH_SIZE", 2)
    for value in range(3):
        queue.append(entry(value))
    assert (values(queue.next_batch()), len(queue)) == ([0, 1], 1)
    assert (values(queue.next_batch()), len(queue)) == ([2], 0)


def test_blocked_entries_have_a_pause_that_grows_and_then_come_first(
    queue: CommitQueue[int, int], clock: SettableClock
) -> None:
    clock.stop()
    blocked, pauses = entry(1), []
    for _ in range(8):
        queue.block([blocked])
        queue.append(entry(2))
        assert values(queue.next_batch()) == [2]
        pauses.append(queue.pause(60.0))
        clock.advance(pauses[-1])
        queue.append(entry(3))
        assert values(queue.next_batch()) == [1, 3]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] < 2 * commit_queue.MAX_BLOCKED_PAUSE
    assert queue.pause(60.0) == 60.0
    queue.block([])
    queue.block([blocked])
    assert queue.pause(60.0) < 2 * commit_queue.MIN_BLOCKED_PAUSE


def test_a_blocked_entry_whose_caller_was_told_is_not_written_any_more(
    queue: CommitQueue[int, int], clock: SettableClock
) -> None:
    told = entry(1)
    queue.block([told])
    told.settle(None, TimeoutError())
    clock.advance(1.0)
    assert queue.next_batch() == []


def test_blocked_entries_count_in_the_bound(queue: CommitQueue[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_queue, "MAX_WAITING", 2)
    queue.block([entry(1)])
    queue.append(entry(2))
    with pytest.raises(PoolQueueFullError):
        queue.append(entry(3))
    assert queue.refused == 1


def test_an_entry_is_withdrawn_unless_it_is_in_a_batch(queue: CommitQueue[int, int]) -> None:
    first, second = entry(1), entry(2)
    queue.append(first)
    queue.append(second)
    queue.withdraw(first)
    queue.withdraw(first)
    assert values(queue.next_batch()) == [2]
    queue.withdraw(second)


def test_each_deadline_counts_whatever_the_order_in_which_they_came(
    queue: CommitQueue[int, int], clock: SettableClock
) -> None:
    patient, impatient, told = entry(1, clock() + 60), entry(2, clock() + 1), entry(3, clock() + 1)
    assert queue.track_deadline(patient), "the first one wakes the thread that watches"
    assert not queue.track_deadline(impatient)
    queue.track_deadline(told)
    told.settle(3, None)
    clock.advance(2)
    overdue, has_more = queue.take_overdue()
    assert (values(overdue), has_more) == ([2], True)
    clock.advance(60)
    overdue, has_more = queue.take_overdue()
    assert (values(overdue), has_more) == ([1], False)
    assert queue.track_deadline(entry(4)), "whoever comes afterwards wakes it again"
