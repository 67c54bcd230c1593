from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import engine_options
from poolproof.integrations.flask_ext import PoolingState
from poolproof.lanes import Lanes, background_settings, open_lanes
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork


@pytest.fixture
def lanes(pooling: PoolingState) -> Iterator[Lanes]:
    """Lanes on the same database as the app's, smaller."""
    settings = PoolSettings(size=3, background_size=2)
    url = pooling.work.engine.url
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=3)), settings)
    yield lanes
    for lane in lanes:
        assert pool_of(lane.engine).checkedout() == 0
        lane.engine.dispose()


def pool_of(engine: object) -> FairQueuePool:
    pool = engine.pool  # type: ignore[attr-defined]
    assert isinstance(pool, FairQueuePool)
    return pool


def test_each_lane_has_a_pool_of_its_own_size(lanes: Lanes) -> None:
    assert {lane.name: pool_of(lane.engine).size() for lane in lanes} == {
        "interactive": 3,
        "background": 2,
        "console": 1,
    }


def test_a_process_without_group_commit_has_no_lane_for_it(lanes: Lanes) -> None:
    assert lanes.writer is lanes.interactive


def test_the_group_commit_has_its_connection_when_all_others_are_taken(pooling: PoolingState) -> None:
    settings = PoolSettings(size=1, max_waiting=0)
    url = pooling.work.engine.url
    engine = create_engine(url, **engine_options(settings, url, threads=3))
    lanes = open_lanes(engine, settings, has_writer=True)
    assert [lane.name for lane in lanes] == ["interactive", "background", "console", "writer"]
    writer = pool_of(lanes.writer.engine)
    assert (writer.size(), writer.limit(), writer.is_overloaded()) == (1, 1, False)
    with lanes.interactive.engine.connect(), lanes.writer.engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    for lane in lanes:
        lane.engine.dispose()


def test_a_saturated_background_lane_makes_no_request_wait(lanes: Lanes) -> None:
    done = threading.Event()

    def import_forever(_: int) -> None:
        while not done.is_set():
            with lanes.background.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
                time.sleep(0.01)

    with ThreadPoolExecutor(8) as background:
        running = background.map(import_forever, range(8))
        deadline = time.monotonic() + 10
        while pool_of(lanes.background.engine).waiting() < 2:
            assert time.monotonic() < deadline, "the background lane does not fill"
        for _ in range(200):
            with UnitOfWork(lanes.interactive.engine).read() as connection:
                connection.execute(text("SELECT 1"))
        done.set()
        list(running)
    statistics = pool_of(lanes.interactive.engine).statistics
    assert statistics is not None
    waits = statistics.snapshot().wait_time
    assert (waits.counts[0], waits.count) == (200, 200)


def test_the_console_has_its_connection_when_all_others_are_taken(lanes: Lanes) -> None:
    held = [lane.engine.connect() for lane in [lanes.interactive] * 3 + [lanes.background] * 2]
    with lanes.console.engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    for connection in held:
        connection.close()


def test_the_console_is_told_soon_when_its_one_connection_is_taken(lanes: Lanes) -> None:
    with lanes.console.engine.connect():
        started_at = time.monotonic()
        with pytest.raises(SQLAlchemyTimeoutError):
            lanes.console.engine.connect()
        assert time.monotonic() - started_at < 2


def test_background_work_may_take_longer_than_a_request(pooling: PoolingState) -> None:
    url = pooling.work.engine.url
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no time-outs of statements")
    settings = PoolSettings(size=1, statement_timeout=0.5, read_timeout=1.0, background_statement_timeout=30.0)
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=1)), settings)
    slow = text("SELECT SLEEP(1.5)")
    with UnitOfWork(lanes.background.engine).read() as connection:
        assert connection.execute(slow).scalar_one() == 0
    # Interrupted: MySQL's SLEEP then returns 1, MariaDB reports an error.
    with UnitOfWork(lanes.interactive.engine).read() as connection, suppress(OperationalError):
        assert connection.execute(slow).scalar_one() == 1
    for lane in lanes:
        lane.engine.dispose()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (60, 65, 60)),
        ({"statement_timeout": 100, "read_timeout": 130}, (100, 130, 100)),
        ({"background_statement_timeout": 1800, "read_timeout": 3600}, (1800, 3600, 1800)),
        ({"write_timeout": 90}, (60, 65, 90)),
    ],
)
def test_reads_of_background_work_outlast_its_statements(
    values: dict[str, Any], expected: tuple[float, float, float]
) -> None:
    background = background_settings(PoolSettings(**values))
    assert (background.statement_timeout, background.read_timeout, background.write_timeout) == expected


def test_a_database_in_memory_has_one_lane_for_all() -> None:
    settings = PoolSettings(pool_class="static")
    url = make_url("sqlite://")
    lanes = open_lanes(create_engine(url, **engine_options(settings, url, threads=1)), settings)
    assert [lane.name for lane in lanes] == ["interactive"]
    assert lanes.background is lanes.console is lanes.writer is lanes.interactive
    lanes.interactive.engine.dispose()
