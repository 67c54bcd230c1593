"""Listeners of other extensions that raise, on a real server and under load: which units of work fail, and why."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.integration.test_connection_age import SIZE, identities, new_engine
from tests.support.waiting import wait_until_returned
from webapp.lab.services.database_server import DatabaseServer

UNITS, THREADS = 400, 8
RAISES, INVALIDATED = 0.2, 0.25
"""Shares of all calls of the listener, and of all units."""
WELL, BEFORE, AFTER = "well", "failed before its statement", "failed after its statement was answered"


class BrokenError(Exception):
    """What a listener raises."""


@pytest.fixture
def engine(server: DatabaseServer) -> Iterator[Engine]:
    """An engine whose connections are all open; afterwards every place serves, and the server has no other of ours."""
    engine = new_engine(server.url("poolproof"))
    identities(engine)
    yield engine
    engine.pool.resize(SIZE)  # type: ignore[attr-defined]
    wait_until_returned(engine.pool)
    assert engine.pool.describe_holders() == ""  # type: ignore[attr-defined]
    assert len(identities(engine)) == SIZE
    must_become(server, SIZE)
    engine.dispose()
    must_become(server, 0)


def must_become(server: DatabaseServer, count: int) -> None:
    """Wait until the server counts so many connections of ours: it lets go a moment after the client."""
    deadline = time.monotonic() + 10
    counting = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'poolproof'"
    while (seen := server.execute(counting)) != [(count,)]:
        assert time.monotonic() < deadline, f"the server counts {seen}, not {count}"
        time.sleep(0.02)


@contextmanager
def broken(engine: Engine, name: str) -> Iterator[list[str]]:
    """Let a listener raise at random; the list grows by each time."""
    chance, raised = random.Random(7), []

    def listen(*arguments: object) -> None:
        if chance.random() < RAISES:
            raised.append(name)
            raise BrokenError(name)

    event.listen(engine, name, listen)
    yield raised
    event.remove(engine, name, listen)


def work_hard(engine: Engine, invalidated: float) -> Counter[str]:
    """Do many units of work, of which a share declares its connection dead; count how they ended."""
    chance, ends = random.Random(11), []

    def one(_: int) -> None:
        how = BEFORE
        try:
            with UnitOfWork(engine).read() as connection:
                connection.execute(text("SELECT 1"))
                how = AFTER
                if chance.random() < invalidated:
                    connection.invalidate()
            how = WELL
        except BrokenError:
            pass
        ends.append(how)

    with ThreadPoolExecutor(THREADS) as workers:
        list(workers.map(one, range(UNITS)))
    return Counter(ends)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("connect", BEFORE),
        ("checkout", BEFORE),
        ("checkin", AFTER),
    ],
)
def test_a_listener_that_raises_fails_the_unit_that_it_was_called_for_and_no_other(
    engine: Engine, name: str, how: str
) -> None:
    with broken(engine, name) as raised:
        ends = work_hard(engine, INVALIDATED)
    assert len(raised) > 5
    assert ends == {WELL: UNITS - len(raised), how: len(raised)}


@pytest.mark.parametrize("name", ["invalidate", "close"])
def test_a_listener_that_raises_while_a_connection_is_given_up_fails_no_unit(engine: Engine, name: str) -> None:
    with broken(engine, name) as raised:
        ends = work_hard(engine, INVALIDATED)
    assert len(raised) > 5
    assert ends == {WELL: UNITS}


def test_a_reset_listener_that_raises_costs_the_connection_and_fails_no_unit(engine: Engine) -> None:
    before = identities(engine)
    with broken(engine, "reset") as raised:
        ends = work_hard(engine, invalidated=0)
    assert len(raised) > 5
    assert ends == {WELL: UNITS}
    # Its state is unknown.
    assert not before & identities(engine)


def test_a_close_listener_that_raises_while_the_pool_shrinks_fails_no_unit_and_keeps_nothing_open(
    server: DatabaseServer, engine: Engine
) -> None:
    def breathe() -> None:
        while not done.wait(0.01):
            engine.pool.resize(1)  # type: ignore[attr-defined]
            done.wait(0.01)
            engine.pool.resize(SIZE)  # type: ignore[attr-defined]

    done = threading.Event()
    disturber = threading.Thread(target=breathe)
    with broken(engine, "close") as raised:
        disturber.start()
        ends = work_hard(engine, invalidated=0)
        done.set()
        disturber.join()
        engine.pool.resize(1)  # type: ignore[attr-defined]
    assert raised
    assert ends == {WELL: UNITS}
    must_become(server, 1)
