"""What happens to connections while they are idle, and to reads whose connection breaks."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from poolproof import deadlines
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolTimeoutError
from poolproof.health.connection_age import MaintenanceAction
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.integration.test_connection_age import SIZE, identities, identity, new_engine
from tests.support.waiting import wait_until, wait_until_returned
from webapp.lab.services.database_server import DatabaseServer


@pytest.fixture
def make(server: DatabaseServer) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(**values: Any) -> Engine:
        made.append(new_engine(server.url("poolproof"), **values))
        return made[-1]

    yield make
    for engine in made:
        wait_until_returned(engine.pool)
        engine.dispose()


def pool_of(engine: Engine) -> FairQueuePool:
    assert isinstance(engine.pool, FairQueuePool)
    return engine.pool


def closed(engine: Engine) -> dict[str, int]:
    statistics = pool_of(engine).statistics
    assert statistics is not None
    return statistics.snapshot().closed


def connected(server: DatabaseServer) -> set[int]:
    return {number for (number,) in server.execute("SELECT id FROM information_schema.processlist")}


def test_connections_that_nobody_needs_are_closed_except_one(make: Callable[..., Engine]) -> None:
    engine = make(max_idle=0.3)
    identities(engine)
    wait_until(lambda: pool_of(engine).checkedin() == 1)
    time.sleep(0.5)
    assert pool_of(engine).checkedin() == 1
    assert closed(engine) == {"idle": SIZE - 1}


def test_connections_in_use_by_turns_are_kept_while_those_behind_them_go(make: Callable[..., Engine]) -> None:
    engine = make(max_idle=0.4, keepalive_interval=0.1)
    identities(engine)
    used = set()

    def others_are_gone() -> bool:
        with engine.connect() as connection:
            used.add(identity(connection))
        return closed(engine) == {"idle": SIZE - 1}

    wait_until(others_are_gone)
    assert len(used) == 1, "the pings of the others must not change the order of use"
    assert pool_of(engine).checkedin() == 1


def test_a_dead_connection_is_found_before_anybody_asks_for_it(
    server: DatabaseServer, make: Callable[..., Engine]
) -> None:
    engine = make(keepalive_interval=0.2, ping_idle_after=60)
    victim = min(identities(engine))
    server.execute(f"KILL {victim}")
    wait_until(lambda: closed(engine) == {"lost": 1})
    # The keeper may have another one in its hand just now.
    wait_until(lambda: pool_of(engine).checkedin() == SIZE - 1)
    assert victim not in identities(engine)


def test_idle_connections_outlive_the_servers_wait_timeout(server: DatabaseServer, make: Callable[..., Engine]) -> None:
    server.execute("SET GLOBAL wait_timeout = 2")
    try:
        engine = make(keepalive_interval=0.2, ping_idle_after=60, min_idle=SIZE)
        before = identities(engine)
        another = server.connect()
        for record in pool_of(engine)._slots.idle:
            # Their age would renew them first.
            record._expires_at = math.inf
        # It is as old as they are, and is not pinged.
        wait_until(lambda: another.thread_id() not in connected(server))
        after = identities(engine)
        another.close()
    finally:
        server.execute("SET GLOBAL wait_timeout = 28800")
    assert after == before


def test_connections_that_are_too_old_are_renewed_off_the_path_of_requests(make: Callable[..., Engine]) -> None:
    engine = make(recycle=1)
    identities(engine)
    wait_until(lambda: closed(engine) == {"age": SIZE})


def test_a_single_killed_connection_does_not_empty_the_pool_even_in_mid_use(
    server: DatabaseServer, make: Callable[..., Engine]
) -> None:
    engine = make(ping_idle_after=60)
    before = identities(engine)
    with engine.connect() as connection:
        victim = identity(connection)
        server.execute(f"KILL {victim}")
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1"))
    assert before - identities(engine) == {victim}


def test_a_restarted_server_empties_the_pool(server: DatabaseServer, make: Callable[..., Engine]) -> None:
    engine = make(ping_idle_after=60, min_idle=SIZE)
    for _ in range(30):
        # The numbers that the server gives to connections are well above those of its first ones.
        server.execute("SELECT 1")
    identities(engine)
    server.restart("--max-connections=24")
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("SELECT 1"))
    # One request has paid; with a window of a minute each of the others would have.
    assert len(identities(engine)) == SIZE


def test_a_read_survives_the_death_of_its_connection(server: DatabaseServer, make: Callable[..., Engine]) -> None:
    engine = make(ping_idle_after=60)
    with UnitOfWork(engine).read() as connection:
        victim = identity(connection)
        server.execute(f"KILL {victim}")
        assert identity(connection) != victim
        assert connection.execute(text("SELECT @@session.time_zone")).scalar_one() == "+00:00"


def test_a_read_survives_being_killed_while_it_runs(server: DatabaseServer, make: Callable[..., Engine]) -> None:
    engine = make()
    with UnitOfWork(engine).read() as connection:
        victim = identity(connection)
        killer = threading.Timer(0.3, lambda: server.execute(f"KILL {victim}"))
        killer.start()
        assert connection.execute(text("SELECT SLEEP(1)")).scalar_one() == 0
        killer.join()


def test_a_read_is_not_asked_again_after_its_deadline(server: DatabaseServer, make: Callable[..., Engine]) -> None:
    engine = make()

    def late() -> None:
        deadlines.set_deadline(0.2)
        with UnitOfWork(engine).read() as connection:
            victim = identity(connection)
            threading.Timer(0.5, lambda: server.execute(f"KILL {victim}")).start()
            connection.execute(text("SELECT SLEEP(1)"))

    with pytest.raises(DBAPIError):
        in_a_context_of_its_own(late)


def test_an_idempotent_transaction_survives_a_lost_connection_and_no_other_does(
    server: DatabaseServer, make: Callable[..., Engine]
) -> None:
    server.execute("DROP TABLE IF EXISTS survivors", database="poolproof")
    server.execute("CREATE TABLE survivors (number INT PRIMARY KEY)", database="poolproof")
    engine, tries = make(), []

    def operation(connection: object) -> None:
        tries.append(1)
        connection.execute(text("INSERT INTO survivors VALUES (1) ON DUPLICATE KEY UPDATE number = 1"))  # type: ignore[attr-defined]
        if len(tries) == 1:
            server.execute(f"KILL {identity(connection)}")  # type: ignore[arg-type]

    with pytest.raises(DBAPIError):
        UnitOfWork(engine).run_in_transaction(operation)
    assert server.execute("SELECT * FROM survivors", database="poolproof") == []
    tries.clear()
    UnitOfWork(engine).run_in_transaction(operation, idempotent=True)
    assert len(tries) == 2
    assert server.execute("SELECT * FROM survivors", database="poolproof") == [(1,)]


def test_a_cut_off_of_a_trusted_connection_makes_the_pool_more_careful(
    server: DatabaseServer, make: Callable[..., Engine]
) -> None:
    engine = make(ping_idle_after=60)
    victim = min(identities(engine))
    for number in identities(engine):
        server.execute(f"KILL {number}")
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("SELECT 1"))
    time.sleep(0.05)
    # The others are pinged now before they are used.
    assert victim not in identities(engine)


def test_what_the_keeper_has_taken_counts_as_in_use(make: Callable[..., Engine]) -> None:
    engine = make()
    identities(engine)
    pool = pool_of(engine)
    with pool.borrow_idle(lambda record, idle: MaintenanceAction.PING):
        assert (pool.checkedout(), pool.checkedin()) == (1, SIZE - 1)
    assert (pool.checkedout(), pool.checkedin()) == (0, SIZE)


def test_whoever_waits_gets_what_the_keeper_gives_back(make: Callable[..., Engine]) -> None:
    engine = make()
    identities(engine)
    pool = pool_of(engine)
    served = threading.Event()

    def wait() -> None:
        with closing(engine.connect()):
            served.set()

    waiter = threading.Thread(target=wait)
    with pool.borrow_idle(lambda record, idle: MaintenanceAction.PING):
        held = [engine.connect() for _ in range(SIZE - 1)]
        waiter.start()
        wait_until(lambda: pool.waiting() == 1)
    assert served.wait(5)
    waiter.join()
    for connection in held:
        connection.close()


def in_a_context_of_its_own(operation: Callable[[], None]) -> None:
    contextvars.copy_context().run(operation)


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_wall_clock_changes_nothing(
    make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    engine = make(keepalive_interval=0.1, timeout=0.3)
    before = identities(engine)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    assert identities(engine) == before
    time.sleep(0.5)
    assert identities(engine) == before
    held = [engine.connect() for _ in range(SIZE)]
    started_at = time.monotonic()
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    assert 0.25 < time.monotonic() - started_at < 3
    for connection in held:
        connection.close()


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_after_a_step_of_the_wall_clock_age_and_loss_are_noticed_as_before(
    server: DatabaseServer, make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    engine = make(recycle=1)
    before = identities(engine)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    server.execute(f"KILL {min(before)}")
    time.sleep(0.2)
    after = identities(engine)
    assert len(after) == SIZE
    assert min(before) not in after
    wait_until(lambda: not before & identities(engine))
