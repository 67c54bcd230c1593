from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool, QueuePool

from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import configure_engine, engine_options
from poolproof.errors import PoolConfigurationError
from poolproof.integrations.flask_ext import PoolingState
from poolproof.settings import PoolSettings
from tests.support.pools import queue_pool

MYSQL = make_url("mysql+pymysql://somebody@127.0.0.1/schema")


def settings(**values: Any) -> PoolSettings:
    return PoolSettings(**values)


def test_the_pool_has_a_connection_for_each_request_thread_and_no_overflow() -> None:
    options = engine_options(settings(), MYSQL, threads=6)
    assert (options["poolclass"], options["pool_size"], options["max_overflow"]) == (FairQueuePool, 6, 0)
    assert (options["pool_timeout"], options["pool_use_lifo"]) == (2.0, True)


def test_a_configured_size_wins_over_the_number_of_threads() -> None:
    assert engine_options(settings(size=3), MYSQL, threads=6)["pool_size"] == 3


def test_null_opens_a_connection_for_each_use() -> None:
    assert engine_options(settings(pool_class="null"), MYSQL, threads=6)["poolclass"] is NullPool


@pytest.mark.parametrize(
    ("pool_class", "reason"),
    [("static", "one single connection to all threads"), ("singleton_thread", "every thread that ever lived")],
)
def test_pools_that_cannot_serve_threads_are_refused_on_mysql(pool_class: str, reason: str) -> None:
    with pytest.raises(PoolConfigurationError, match=f"POOL_CLASS={pool_class} cannot be used with mysql.*{reason}"):
        engine_options(settings(pool_class=pool_class), MYSQL, threads=6)


def test_a_database_in_memory_is_refused_for_a_queue() -> None:
    with pytest.raises(PoolConfigurationError, match="every connection would see an empty one"):
        engine_options(settings(), make_url("sqlite://"), threads=6)


def test_sqlite_gets_a_queue_write_ahead_log_and_foreign_keys(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path / 'a.sqlite'}")
    engine = create_engine(url, **engine_options(settings(), url, threads=2))
    configure_engine(engine, settings())
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 5000
    assert isinstance(engine.pool, QueuePool)
    engine.dispose()


def test_the_last_connection_returned_is_the_first_one_lent(pooling: PoolingState) -> None:
    with pooling.work.engine.connect() as first, pooling.work.engine.connect() as second:
        older, newer = first.connection.dbapi_connection, second.connection.dbapi_connection
        second.close()
        first.close()
    with pooling.work.engine.connect() as again:
        assert again.connection.dbapi_connection is older
        assert again.connection.dbapi_connection is not newer


def test_sessions_on_a_server_are_utc_strict_bounded_and_read_committed(pooling: PoolingState) -> None:
    if pooling.work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no sessions on a server")
    with pooling.work.read() as connection:
        is_mariadb = "MariaDB" in connection.execute(text("SELECT VERSION()")).scalar_one()
        bound, isolation = (
            ("max_statement_time", "tx_isolation") if is_mariadb else ("max_execution_time", "transaction_isolation")
        )
        row = connection.execute(text(f"SELECT @@time_zone, @@sql_mode, @@{isolation}, @@{bound}")).one()
    assert (row[0], row[2]) == ("+00:00", "READ-COMMITTED")
    assert "STRICT_TRANS_TABLES" in row[1]
    assert float(row[3]) == (10.0 if is_mariadb else 10_000)


def test_the_pool_learns_when_to_renew_from_the_server(pooling: PoolingState) -> None:
    if pooling.work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite closes no idle connection")
    with pooling.work.read() as connection:
        wait_timeout = connection.execute(text("SELECT @@wait_timeout")).scalar_one()
    assert pooling.work.engine.pool._recycle == int(wait_timeout * 0.8)


def test_a_child_process_does_not_say_goodbye_on_its_parents_connections(pooling: PoolingState) -> None:
    with pooling.work.read() as connection:
        connection.execute(text("SELECT 1"))
    idle = queue_pool(pooling.work.engine).checkedin()
    child = os.fork()
    if child == 0:
        # Ends without cleaning up, as a crashed worker would; its pool must be empty by now.
        os._exit(0 if queue_pool(pooling.work.engine).checkedin() == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert idle > 0
    with pooling.work.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.parametrize("pool_class", ["queue", "null"])
def test_options_without_their_listeners_refuse_the_first_connect_of_each_engine(
    tmp_path: Path, pool_class: str
) -> None:
    urls = [make_url(f"sqlite:///{tmp_path / name}") for name in ("default", "bind")]
    shared = engine_options(settings(pool_class=pool_class), urls[0], threads=2)
    configured, other = (create_engine(url, **shared) for url in urls)
    configure_engine(configured, settings())
    with configured.connect() as connection:
        connection.execute(text("CREATE TABLE kept (id INTEGER)"))
        connection.commit()
        connection.execute(text("INSERT INTO kept VALUES (1)"))
        connection.rollback()
        assert connection.execute(text("SELECT COUNT(*) FROM kept")).scalar_one() == 0
    for _ in range(2):
        with pytest.raises(PoolConfigurationError, match=r"configure_engine\(engine, settings\) before it is used"):
            other.connect()
    configure_engine(other, settings())
    with other.connect() as connection:
        connection.execute(text("SELECT 1"))
    for engine in (configured, other):
        engine.dispose()
