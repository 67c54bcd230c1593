from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.transactions import commit_queue
from poolproof.transactions.commit_queue import Entry
from poolproof.transactions.group_commit import EntryBlockedError, GroupCommit
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until

INSERT = text("INSERT INTO grouped (number) VALUES (:number)")


@pytest.fixture
def numbers(pooling: PoolingState) -> Iterator[UnitOfWork]:
    """A table of small numbers."""
    with pooling.work.transaction() as connection:
        connection.execute(text("DROP TABLE IF EXISTS grouped"))
        connection.execute(text("CREATE TABLE grouped (number INTEGER PRIMARY KEY CHECK (number < 1000))"))
    yield pooling.work
    with pooling.work.transaction() as connection:
        connection.execute(text("DROP TABLE grouped"))


Make = Callable[..., GroupCommit[int, int]]


@pytest.fixture
def make(numbers: UnitOfWork) -> Iterator[Make]:
    made: list[GroupCommit[int, int]] = []

    def insert(connection: Connection, values: Sequence[int]) -> None:
        connection.execute(INSERT, [{"number": value} for value in values])

    def write(values: Sequence[int]) -> Sequence[int]:
        numbers.run_in_transaction(lambda connection: insert(connection, values))
        return [value * 10 for value in values]

    def make(write: Callable[[Sequence[int]], Sequence[int]] = write, patience: float = 10.0) -> GroupCommit[int, int]:
        made.append(GroupCommit("test", write, patience))
        return made[-1]

    yield make
    for group in made:
        group.stop()


def stored(work: UnitOfWork) -> set[int]:
    with work.read() as connection:
        return set(connection.execute(text("SELECT number FROM grouped")).scalars())


def test_whoever_is_answered_finds_his_row_committed(make: Make, numbers: UnitOfWork) -> None:
    group = make()

    def submit(number: int) -> bool:
        return group.submit(number) == number * 10 and number in stored(numbers)

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(submit, range(40)))
    assert stored(numbers) == set(range(40))


def test_those_who_come_during_a_commit_share_the_next(make: Make, numbers: UnitOfWork) -> None:
    begun, go_on = threading.Event(), threading.Event()
    batches: list[int] = []

    def write(values: Sequence[int]) -> Sequence[int]:
        batches.append(len(values))
        begun.set()
        go_on.wait(10)
        return values

    group = make(write)
    with ThreadPoolExecutor(6) as callers:
        first = callers.submit(group.submit, 0)
        begun.wait(10)
        others = [callers.submit(group.submit, number) for number in range(1, 6)]
        wait_until(lambda: group.waiting() == 5)
        go_on.set()
        assert [future.result() for future in (first, *others)] == list(range(6))
    assert batches == [1, 5]
    assert group.batch_sizes == {1: 1, 5: 1}
    assert group.commit_time.count == 2


def test_only_the_guilty_one_gets_the_error(make: Make, numbers: UnitOfWork) -> None:
    group, gathered = make(), threading.Barrier(5)

    def submit(number: int) -> str:
        gathered.wait()
        try:
            group.submit(number)
        except DBAPIError:
            return "refused"
        return "stored"

    with ThreadPoolExecutor(5) as callers:
        ends = list(callers.map(submit, [1, 2, 5000, 3, 4]))
    assert ends == ["stored", "stored", "refused", "stored", "stored"]
    assert stored(numbers) == {1, 2, 3, 4}


def test_the_error_is_the_one_of_the_value_itself(make: Make) -> None:
    group = make()
    group.submit(7)
    with pytest.raises(IntegrityError):
        group.submit(7)


def test_a_lost_connection_is_tried_again(make: Make) -> None:
    tries: list[int] = []

    def write(values: Sequence[int]) -> Sequence[int]:
        tries.append(1)
        if len(tries) == 1:
            raise PoolTimeoutError("once")
        return values

    assert make(write).submit(1) == 1
    assert len(tries) == 2


def test_while_there_is_no_server_callers_are_told_soon(make: Make) -> None:
    def write(values: Sequence[int]) -> Sequence[int]:
        raise PoolTimeoutError("no server")

    started_at = time.monotonic()
    with pytest.raises(PoolTimeoutError, match="no server"):
        make(write, patience=60.0).submit(1)
    assert time.monotonic() - started_at < 30


def test_a_caller_whose_patience_ends_is_told_and_his_value_withdrawn(make: Make) -> None:
    begun, go_on = threading.Event(), threading.Event()
    written: list[int] = []

    def write(values: Sequence[int]) -> Sequence[int]:
        begun.set()
        go_on.wait(10)
        written.extend(values)
        return values

    group = make(write, patience=0.2)
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(group.submit, 1)
        begun.wait(10)
        with pytest.raises(PoolTimeoutError):
            group.submit(2)
        with pytest.raises(PoolTimeoutError):
            first.result(30)
        go_on.set()
    group.stop()
    assert written == [1], "what had been begun is finished, what had not is not begun any more"


def test_the_queue_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_queue, "MAX_WAITING", 1)
    begun, go_on = threading.Event(), threading.Event()

    def write(values: Sequence[int]) -> Sequence[int]:
        begun.set()
        go_on.wait(10)
        return values

    group = make(write)
    with ThreadPoolExecutor(2) as callers:
        callers.submit(group.submit, 1)
        begun.wait(10)
        callers.submit(group.submit, 2)
        wait_until(lambda: group.waiting() == 1)
        with pytest.raises(PoolQueueFullError):
            group.submit(3)
        go_on.set()


def test_no_thread_runs_before_the_first_write(make: Make) -> None:
    before = threading.active_count()
    group = make()
    assert threading.active_count() == before
    group.submit(1)
    group.stop()
    assert threading.active_count() == before


def test_a_child_of_fork_has_a_writer_of_its_own(make: Make, numbers: UnitOfWork) -> None:
    group = make()
    group.submit(1)
    with warnings.catch_warnings():
        # Python warns of forks in a process with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if group.submit(2) == 20 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert group.submit(3) == 30
    assert stored(numbers) == {1, 2, 3}


def test_who_asked_to_be_told_is_told_after_the_commit(make: Make, numbers: UnitOfWork) -> None:
    group = make()
    outcomes: list[tuple[int | None, BaseException | None, bool]] = []
    for number in (1, 2):

        def tell(result: int | None, error: BaseException | None, number: int = number) -> None:
            outcomes.append((result, error, number in stored(numbers)))

        group.submit_async(number, tell)
    wait_until(lambda: len(outcomes) == 2)
    assert outcomes == [(10, None, True), (20, None, True)]


def test_who_asked_to_be_told_is_told_once_and_in_time(make: Make) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write(values: Sequence[int]) -> Sequence[int]:
        begun.set()
        go_on.wait(10)
        return values

    group = make(write, patience=0.2)
    outcomes: list[tuple[int | None, type[BaseException | None]]] = []
    group.submit_async(1, lambda result, error: outcomes.append((result, type(error))))
    begun.wait(10)
    group.submit_async(2, lambda result, error: outcomes.append((result, type(error))))
    wait_until(lambda: len(outcomes) == 2)
    assert not go_on.is_set(), "they are called while the commit still hangs"
    go_on.set()
    group.stop()
    assert outcomes == [(None, PoolTimeoutError), (None, PoolTimeoutError)]


def test_one_who_cannot_be_told_does_not_keep_the_others_from_hearing(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    group = make()
    outcomes: list[int | None] = []

    def stumble(result: int | None, error: BaseException | None) -> None:
        raise OSError("gone")

    group.submit_async(1, stumble)
    group.submit_async(2, lambda result, error: outcomes.append(result))
    wait_until(lambda: outcomes == [20])
    assert "could not be told" in caplog.text


def test_an_outcome_that_is_an_error_is_its_own_callers_alone_and_costs_no_further_write(make: Make) -> None:
    begun, go_on = threading.Event(), threading.Event()
    batches: list[Sequence[int]] = []

    def write(values: Sequence[int]) -> Sequence[int | Exception]:
        batches.append(values)
        begun.set()
        go_on.wait(10)
        return [LookupError("odd") if value % 2 else value for value in values]

    group = make(write)
    with ThreadPoolExecutor(5) as callers:
        futures = [callers.submit(group.submit, 0)]
        begun.wait(10)
        futures += [callers.submit(group.submit, number) for number in range(1, 5)]
        wait_until(lambda: group.waiting() == 4)
        go_on.set()
        assert [type(future.exception(10)) for future in futures] == [
            type(None), LookupError, type(None), LookupError, type(None),
        ]  # fmt: skip
    assert [len(batch) for batch in batches] == [1, 4]


def test_a_batch_that_fails_is_divided_so_that_one_value_costs_few_writes(make: Make) -> None:
    begun, go_on = threading.Event(), threading.Event()
    batches: list[int] = []

    def write(values: Sequence[int]) -> Sequence[int]:
        batches.append(len(values))
        begun.set()
        go_on.wait(10)
        if 17 in values:
            raise ArithmeticError("seventeen")
        return values

    group = make(write)
    with ThreadPoolExecutor(65) as callers:
        callers.submit(group.submit, 0)
        begun.wait(10)
        futures = {number: callers.submit(group.submit, number) for number in range(1, 65)}
        wait_until(lambda: group.waiting() == 64)
        go_on.set()
        failed = {number for number, future in futures.items() if future.exception(10)}
    assert failed == {17}
    # One of 64, and two halves for each division from there to one.
    assert len(batches) == 1 + 1 + 2 * 6


def test_a_blocked_value_waits_for_a_later_batch_and_keeps_none_of_the_others(make: Make) -> None:
    is_locked = threading.Event()
    is_locked.set()

    def write(values: Sequence[int]) -> Sequence[int | Exception]:
        return [EntryBlockedError() if value == 1 and is_locked.is_set() else value for value in values]

    group = make(write)
    with ThreadPoolExecutor(1) as callers:
        blocked = callers.submit(group.submit, 1)
        wait_until(lambda: group.waiting() == 1)
        assert [group.submit(number) for number in (2, 3, 4)] == [2, 3, 4]
        assert not blocked.done()
        is_locked.clear()
        assert blocked.result(30) == 1


def test_a_value_that_stays_blocked_is_told_so_in_time(make: Make) -> None:
    group = make(lambda values: [EntryBlockedError() for _ in values], patience=0.2)
    outcomes: list[BaseException | None] = []
    group.submit_async(2, lambda result, error: outcomes.append(error))
    with pytest.raises(PoolTimeoutError):
        group.submit(1)
    wait_until(lambda: len(outcomes) == 1)
    assert isinstance(outcomes[0], PoolTimeoutError)
    with pytest.raises(PoolTimeoutError):
        group.write_one(3)


def test_a_time_out_between_settling_and_telling_is_told_the_outcome(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_expired = threading.Event()
    expire = GroupCommit._expire

    def settle_slowly(entry: Entry[int, int], result: int | None, error: BaseException | None) -> None:
        if entry._settled.acquire(blocking=False):
            is_expired.wait(30)
            # The caller comes out of `_expire` and looks for its outcome before it is there.
            time.sleep(0.2)
            entry.callback(result, error)

    def expire_and_say_so(group: GroupCommit[int, int], entry: Entry[int, int]) -> None:
        expire(group, entry)
        is_expired.set()

    monkeypatch.setattr(Entry, "settle", settle_slowly)
    monkeypatch.setattr(GroupCommit, "_expire", expire_and_say_so)
    assert make(lambda values: values, patience=0.2).submit(1) == 1


def test_a_discarded_group_leaves_no_thread(numbers: UnitOfWork) -> None:
    before = threading.active_count()

    def use_and_discard() -> None:
        group: GroupCommit[int, int] = GroupCommit("discarded", list, 10.0)
        told = threading.Event()
        group.submit_async(1, lambda result, error: told.set())
        assert group.submit(2) == 2
        assert told.wait(30)

    for _ in range(5):
        use_and_discard()
    gc.collect()
    wait_until(lambda: threading.active_count() <= before, "threads of discarded groups go on")


def test_a_group_that_is_discarded_with_something_to_write_writes_it_first(numbers: UnitOfWork) -> None:
    outcomes: list[int | None] = []

    def submit_and_discard() -> None:
        group: GroupCommit[int, int] = GroupCommit("discarded", list, 10.0)
        group.submit_async(1, lambda result, error: outcomes.append(result))

    submit_and_discard()
    gc.collect()
    wait_until(lambda: outcomes == [1])


def test_there_is_never_a_second_writer_also_when_the_first_outlasts_the_stop(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    lock, writers, most = threading.Lock(), [0], [0]

    def write(values: Sequence[int]) -> Sequence[int]:
        with lock:
            writers[0] += 1
            most[0] = max(most[0], writers[0])
        begun.set()
        go_on.wait(30)
        with lock:
            writers[0] -= 1
        return values

    group = make(write)
    stop = group._thread.stop
    monkeypatch.setattr(group._thread, "stop", lambda: stop(0.1))
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(group.submit, 1)
        begun.wait(10)
        second = callers.submit(group.submit, 2)
        wait_until(lambda: group.waiting() == 1)
        stopping = callers.submit(group.stop)
        stopping.result(30)
        go_on.set()
        assert (first.result(30), second.result(30), most[0]) == (1, 2, 1)
    wait_until(lambda: not group._thread.is_running())


def test_what_is_blocked_is_still_written_at_a_stop(make: Make) -> None:
    tries: list[int] = []

    def write(values: Sequence[int]) -> Sequence[int | Exception]:
        tries.append(1)
        return [EntryBlockedError() for _ in values] if len(tries) < 4 else values

    group = make(write)
    outcomes: list[int | None] = []
    group.submit_async(1, lambda result, error: outcomes.append(result))
    group.stop()
    assert outcomes == [1]
