"""A driver that has no part of its own here: the pool works, and the log says once what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from poolproof.core.queue_pool import FairQueuePool
from poolproof.drivers import generic
from poolproof.engine import configure_engine, engine_options
from poolproof.errors import PoolUsageError
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork


class UnknownDialect(SQLiteDialect_pysqlite):
    """SQLite under a name that poolproof does not know."""

    name = "unknown"
    driver = "driver"
    supports_statement_cache = True


class OtherDialect(UnknownDialect):
    """Another one, for which the log has told nothing yet."""

    name = "other"
    supports_statement_cache = True


registry.register("unknown.driver", __name__, "UnknownDialect")
registry.register("other.driver", __name__, "OtherDialect")


def configured(address: str) -> tuple[Engine, LeakDetector]:
    url, settings = make_url(address), PoolSettings(size=2)
    engine = create_engine(url, **engine_options(settings, url, threads=2))
    return engine, configure_engine(engine, settings)


@pytest.fixture
def unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Engine, LeakDetector]]:
    engine, leak_detector = configured(f"unknown+driver:///{tmp_path / 'a.sqlite'}")
    yield engine, leak_detector
    engine.dispose()


def test_any_driver_gets_the_pool_its_checkouts_and_no_argument_of_anothers(unknown: Any) -> None:
    engine, leak_detector = unknown
    assert isinstance(engine.pool, FairQueuePool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
        assert len(leak_detector.checkouts.live()) == 1
    assert engine.pool.checkedout() == 0


def test_its_transactions_are_its_own(unknown: Any) -> None:
    engine, _ = unknown
    work = UnitOfWork(engine)
    with work.transaction() as connection:
        connection.execute(text("CREATE TABLE note (number INTEGER)"))
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO note VALUES (1)"))
    with work.transaction() as connection:
        connection.execute(text("INSERT INTO note VALUES (2)"))
    with work.read() as connection:
        assert connection.execute(text("SELECT number FROM note")).scalars().all() == [2]


def test_each_statement_of_autocommit_is_kept_and_the_next_borrower_has_transactions(unknown: Any) -> None:
    work = UnitOfWork(unknown[0])
    with work.transaction() as connection:
        connection.execute(text("CREATE TABLE note (number INTEGER)"))
    with suppress(ZeroDivisionError), work.autocommit() as connection:
        connection.execute(text("INSERT INTO note VALUES (1)"))
        raise ZeroDivisionError
    with suppress(ZeroDivisionError), work.transaction() as connection:
        connection.execute(text("INSERT INTO note VALUES (2)"))
        raise ZeroDivisionError
    with work.read() as connection:
        assert connection.execute(text("SELECT number FROM note")).scalars().all() == [1]


def test_a_driver_without_autocommit_is_refused_with_one_sentence(
    unknown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = unknown
    monkeypatch.setattr(engine.dialect, "get_isolation_level_values", lambda connection: ["SERIALIZABLE"])
    with pytest.raises(PoolUsageError, match=r"^unknown\+driver has no autocommit .*: use transaction\(\)\.$"):
        UnitOfWork(engine).autocommit().__enter__()
    assert engine.pool.checkedout() == 0


def test_the_log_says_once_for_each_driver_what_there_is_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generic._warned_drivers.discard("other+driver")
    with caplog.at_level(logging.WARNING, logger="poolproof.drivers.generic"):
        for _ in range(2):
            configured(f"other+driver:///{tmp_path / 'a.sqlite'}")
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "other+driver has no part of its own in poolproof"
    ]
