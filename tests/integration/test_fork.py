"""A process that forks: parent and child never share a connection, and neither says goodbye for the other."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Engine, text

from poolproof.core.queue_pool import FairQueuePool
from tests.integration.test_connection_age import SIZE, identities, identity, new_engine
from tests.support.waiting import wait_until_returned
from webapp.lab.services.database_server import DatabaseServer

CHILD_TIMEOUT = 30
"""Seconds; a child that hangs is ended by its alarm."""


@pytest.fixture
def engine(server: DatabaseServer) -> Iterator[Engine]:
    engine = new_engine(server.url("poolproof"))
    yield engine
    wait_until_returned(engine.pool)
    engine.dispose()


def in_a_child(operation: Callable[[], object]) -> object:
    """Fork, do it there, and return what it returned."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks in a process with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.alarm(CHILD_TIMEOUT)
        try:
            output = json.dumps(operation())
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happens
            output = json.dumps(repr(error))
        os.write(writing, output.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        output = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return json.loads(output)


def alive(server: DatabaseServer) -> set[int]:
    return {number for (number,) in server.execute("SELECT id FROM information_schema.processlist")}


def test_a_fork_before_the_first_connect_gives_each_its_own(engine: Engine) -> None:
    child_ids = in_a_child(lambda: sorted(identities(engine)))
    assert isinstance(child_ids, list)
    assert len(child_ids) == SIZE
    assert not identities(engine) & set(child_ids)


def test_a_fork_after_the_first_connect_leaves_the_parents_connections_to_the_parent(
    server: DatabaseServer, engine: Engine
) -> None:
    before = identities(engine)
    child_ids = in_a_child(lambda: sorted(identities(engine)))
    assert isinstance(child_ids, list)
    assert not before & set(child_ids)
    assert before <= alive(server), "the child said goodbye in the parent's name"
    assert identities(engine) == before


def test_a_connection_that_was_out_at_the_fork_stays_the_parents(server: DatabaseServer, engine: Engine) -> None:
    with engine.connect() as connection:
        number = identity(connection)
        connection.execute(text("SET @parents = 1"))
        child_ids = in_a_child(lambda: sorted(identities(engine)))
        assert isinstance(child_ids, list)
        assert len(child_ids) == SIZE, "the child has all of its places"
        assert number not in child_ids
        assert connection.execute(text("SELECT @parents")).scalar_one() == 1


def test_a_child_that_ends_in_order_says_goodbye_only_for_itself(server: DatabaseServer, engine: Engine) -> None:
    before = identities(engine)

    def end_in_order() -> list[int]:
        own = sorted(identities(engine))
        engine.dispose()
        return own

    child_ids = in_a_child(end_in_order)
    assert isinstance(child_ids, list)
    assert before <= alive(server)
    assert not set(child_ids) & alive(server)


def test_what_was_out_at_the_fork_is_not_out_in_the_child(engine: Engine) -> None:
    def look() -> list[object]:
        pool = engine.pool
        assert isinstance(pool, FairQueuePool)
        return [pool.checkedout(), pool.describe_holders()]

    with engine.connect() as connection:
        assert identity(connection)
        assert in_a_child(look) == [0, ""]


def test_the_childs_watch_does_not_take_back_what_a_thread_of_the_parent_holds(server: DatabaseServer) -> None:
    engine = new_engine(server.url("poolproof"), leak_threshold=0.1)
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> list[int]:
        with engine.connect() as connection:
            numbers = [identity(connection)]
            is_held.set()
            may_go.wait(CHILD_TIMEOUT)
            # Idle all the time: to the child its holder, which did not come along, looks like one that has ended.
            return [*numbers, identity(connection)]

    def use_and_rest() -> int:
        number = len(identities(engine))
        time.sleep(1)
        return number

    with ThreadPoolExecutor(1) as workers:
        holder = workers.submit(hold)
        is_held.wait()
        try:
            assert in_a_child(use_and_rest) == SIZE
        finally:
            may_go.set()
        before, after = holder.result()
    assert before == after
    engine.dispose()


def test_a_child_forked_while_somebody_waited_has_nobody_waiting(engine: Engine) -> None:
    pool = engine.pool
    assert isinstance(pool, FairQueuePool)
    held = [engine.connect() for _ in range(SIZE)]
    with ThreadPoolExecutor(1) as workers:
        waiter = workers.submit(engine.connect)
        while not pool.waiting():
            threading.Event().wait(0.01)
        child_ids = in_a_child(lambda: [engine.pool.waiting(), len(identities(engine))])  # type: ignore[attr-defined]
        for connection in held:
            connection.close()
        waiter.result(10).close()
    assert child_ids == [0, SIZE]


@pytest.mark.parametrize("whose", ["pool", "statistics"])
def test_a_lock_that_another_thread_held_at_the_fork_does_not_stop_the_child(engine: Engine, whose: str) -> None:
    pool = engine.pool
    assert isinstance(pool, FairQueuePool)
    assert pool.statistics is not None
    identities(engine)
    lock: AbstractContextManager[object] = pool._slots.lock if whose == "pool" else pool.statistics._lock
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            may_go.wait(CHILD_TIMEOUT)

    def use_it() -> list[int]:
        assert pool.statistics is not None
        return [len(identities(engine)), pool.statistics.snapshot().checkouts]

    with ThreadPoolExecutor(1) as workers:
        holder = workers.submit(hold)
        is_held.wait()
        try:
            child_ids = in_a_child(use_it)
        finally:
            may_go.set()
        holder.result()
    assert isinstance(child_ids, list)
    assert child_ids[0] == SIZE


def test_children_forked_under_load_all_have_connections_of_their_own_and_fail_nobodys_work(engine: Engine) -> None:
    done = threading.Event()

    def use_for_ever() -> set[int]:
        numbers = set()
        while not done.is_set():
            with engine.connect() as connection:
                number = identity(connection)
                # Had a child read the answer, or written to the same socket, this one would not be ours.
                assert connection.execute(text(f"SELECT {number}")).scalar_one() == number
            numbers.add(number)
        return numbers

    with ThreadPoolExecutor(2 * SIZE) as workers:
        running = [workers.submit(use_for_ever) for _ in range(2 * SIZE)]
        try:
            child_ids = [in_a_child(lambda: sorted(identities(engine))) for _ in range(15)]
        finally:
            done.set()
        parents = set().union(*(future.result(10) for future in running))
    assert len(parents) == SIZE, "the parent had to renew a connection"
    for one in child_ids:
        assert isinstance(one, list), one
        assert len(one) == SIZE
        assert not set(one) & parents
