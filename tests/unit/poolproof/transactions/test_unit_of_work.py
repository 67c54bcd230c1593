from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import Connection, create_engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolproof import engine
from poolproof.drivers import sqlite
from poolproof.errors import PoolUsageError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.pools import queue_pool
from webapp.accounts.models import User
from webapp.db.timestamps import utc_now


def add_user(connection: Connection, name: str) -> None:
    connection.execute(insert(User).values(name=name, password_hash="-", role="author", created_at=utc_now()))


def names(work: UnitOfWork) -> list[str]:
    with work.read() as connection:
        return list(connection.execute(select(User.name).order_by(User.name)).scalars())


def test_a_transaction_is_kept(work: UnitOfWork) -> None:
    with work.transaction() as connection:
        add_user(connection, "ada")
    assert names(work) == ["ada"]


def test_a_transaction_that_raises_leaves_nothing(work: UnitOfWork) -> None:
    def operation(connection: Connection) -> None:
        add_user(connection, "ada")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work.run_in_transaction(operation)
    assert names(work) == []


def test_a_statement_that_writes_is_refused_while_reading(work: UnitOfWork) -> None:
    with pytest.raises(PoolUsageError, match=r"INSERT inside of read\(\)"), work.read() as connection:
        add_user(connection, "ada")
    assert names(work) == []


def test_a_unit_of_work_works_outside_of_requests_and_contexts(work: UnitOfWork) -> None:
    thread = Thread(target=lambda: work.run_in_transaction(lambda connection: add_user(connection, "bob")))
    thread.start()
    thread.join()
    assert names(work) == ["bob"]


def test_two_that_lock_the_same_rows_in_opposite_order_both_succeed(work: UnitOfWork) -> None:
    for name in ("ada", "bob"):
        work.run_in_transaction(partial(add_user, name=name))
    meet = Barrier(2, timeout=10)
    tries: list[str] = []

    def rename(first: str, second: str, role: str) -> None:
        def operation(connection: Connection) -> None:
            tries.append(role)
            connection.execute(update(User).where(User.name == first).values(role=role))
            if len(tries) <= 2 and work.engine.dialect.name != "sqlite":
                meet.wait()
            connection.execute(update(User).where(User.name == second).values(role=role))

        work.run_in_transaction(operation)

    threads = [Thread(target=rename, args=("ada", "bob", "one")), Thread(target=rename, args=("bob", "ada", "two"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with work.read() as connection:
        roles = set(connection.execute(select(User.role)).scalars())
    assert roles in ({"one"}, {"two"})
    # On a server the two really met, one was rolled back as a deadlock and ran again.
    assert len(tries) == (2 if work.engine.dialect.name == "sqlite" else 3)


def test_a_write_waits_for_another_one_on_sqlite_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.3)
    settings, url = PoolSettings(), make_url(f"sqlite:///{tmp_path / 'busy.sqlite'}")
    busy = create_engine(url, **engine.engine_options(settings, url, threads=2))
    engine.configure_engine(busy, settings)
    work, is_locked, was_refused = UnitOfWork(busy), Event(), Event()
    event.listen(busy, "handle_error", lambda context: was_refused.set())
    work.run_in_transaction(lambda connection: connection.execute(text("CREATE TABLE counted (number INT)")) and None)

    def hold_until_the_other_was_refused(connection: Connection) -> None:
        connection.execute(text("INSERT INTO counted VALUES (1)"))
        is_locked.set()
        was_refused.wait(30)

    other = Thread(target=work.run_in_transaction, args=(hold_until_the_other_was_refused,))
    other.start()
    is_locked.wait(30)
    work.run_in_transaction(lambda connection: connection.execute(text("INSERT INTO counted VALUES (2)")) and None)
    other.join()
    assert was_refused.is_set()
    with work.read() as connection:
        assert list(connection.execute(text("SELECT number FROM counted")).scalars()) == [1, 2]
    busy.dispose()


def test_a_full_pool_makes_a_request_wait_and_then_says_so(pooling: PoolingState) -> None:
    pool = queue_pool(pooling.work.engine)
    pool._timeout, before = 0.2, pool._timeout
    held = [pooling.work.engine.connect() for _ in range(pool.size())]
    try:
        with pytest.raises(PoolTimeoutError), pooling.work.read():
            pass
    finally:
        pool._timeout = before
        for connection in held:
            connection.close()
