from __future__ import annotations

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
from poolproof.transactions import group_commit
from poolproof.transactions.group_commit import GroupCommit
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
        made.append(GroupCommit("test", write, lambda value: write([value])[0], patience))
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
    monkeypatch.setattr(group_commit, "MAX_WAITING", 1)
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
