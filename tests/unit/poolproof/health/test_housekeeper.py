"""One round of the housekeeper: what it closes, renews and leaves alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from poolproof.core.connection_record import LAST_ALIVE_AT, LAST_USED_AT
from poolproof.core.queue_pool import FairQueuePool
from poolproof.engine import engine_options
from poolproof.health import housekeeper
from poolproof.health.housekeeper import Housekeeper
from poolproof.leaks.checkout_registry import track_checkouts
from poolproof.leaks.leak_detector import LeakDetector
from poolproof.settings import PoolSettings
from tests.support.clock import SettableClock


class Pings:
    """Stands for `Liveness`: says what a server would, and counts how often it was asked."""

    def __init__(self) -> None:
        self.is_alive = True
        self.error: Exception | None = None
        self.count = 0

    def ping(self, dbapi_connection: sqlite3.Connection) -> bool:
        self.count += 1
        if self.error is not None:
            raise self.error
        return self.is_alive


class House:
    """An engine with three idle connections, and its housekeeper."""

    def __init__(self, url: str, **values: Any) -> None:
        settings = PoolSettings(size=3, **values)
        options = engine_options(settings, make_url(url), threads=3)
        # Without the listeners of `configure_engine`: what is tested is one round, with pings of its own.
        self.engine: Engine = create_engine(url, **{**options, "pool_events": []})
        self.pings = Pings()
        detector = LeakDetector(track_checkouts(self.engine, "test"), 60.0, 1)
        self.housekeeper = Housekeeper(self.engine, settings, self.pings, detector)  # type: ignore[arg-type]
        connections = [self.engine.connect() for _ in range(3)]
        for connection in connections:
            connection.execute(text("SELECT 1"))
            connection.close()
        for record in self.pool._slots.idle:
            # As the listener of an engine on MySQL does.
            record.info[LAST_USED_AT] = record.info[LAST_ALIVE_AT] = time.monotonic()

    @property
    def pool(self) -> FairQueuePool:
        assert isinstance(self.engine.pool, FairQueuePool)
        return self.engine.pool

    def closed(self) -> dict[str, int]:
        assert self.pool.statistics is not None
        return self.pool.statistics.snapshot().closed


@pytest.fixture
def make(tmp_path: Path, clock: SettableClock) -> Iterator[Callable[..., House]]:
    clock.stop()
    houses: list[House] = []

    def make(**values: Any) -> House:
        houses.append(House(f"sqlite:///{tmp_path / 'test.sqlite'}", **values))
        return houses[-1]

    yield make
    for house in houses:
        assert house.pool.checkedout() == 0
        house.engine.dispose()


def test_nothing_is_due_for_connections_just_used(make: Callable[..., House]) -> None:
    house = make()
    assert house.housekeeper.run_once() > 0
    assert (house.pool.checkedin(), house.pings.count, house.closed()) == (3, 0, {})


def test_connections_that_were_not_needed_are_closed_but_for_those_kept(
    make: Callable[..., House], clock: SettableClock
) -> None:
    house = make(max_idle=30.0, keepalive_interval=3000.0, min_idle=1)
    clock.advance(31.0)
    house.housekeeper.run_once()
    assert (house.pool.checkedin(), house.closed()) == (1, {"idle": 2})


def test_idle_connections_are_pinged_once_in_an_interval(make: Callable[..., House], clock: SettableClock) -> None:
    house = make(max_idle=3000.0, keepalive_interval=10.0)
    clock.advance(11.0)
    house.housekeeper.run_once()
    house.housekeeper.run_once()
    assert (house.pings.count, house.pool.checkedin(), house.closed()) == (3, 3, {})


def test_a_connection_that_does_not_answer_is_closed(make: Callable[..., House], clock: SettableClock) -> None:
    house = make(max_idle=3000.0, keepalive_interval=10.0)
    house.pings.is_alive = False
    clock.advance(11.0)
    house.housekeeper.run_once()
    assert (house.pool.checkedin(), house.closed()) == (0, {"lost": 3})


def test_a_record_whose_connection_was_lost_costs_no_slot(make: Callable[..., House], clock: SettableClock) -> None:
    house = make(max_idle=3000.0, keepalive_interval=10.0)
    for connection in [house.engine.connect() for _ in range(3)]:
        connection.invalidate()
        connection.close()
    assert (house.pool.checkedin(), house.pool.idle_connections()) == (3, 0)
    clock.advance(11.0)
    house.housekeeper.run_once()
    assert (house.pings.count, house.pool.checkedin()) == (0, 3)
    lent = [house.engine.connect() for _ in range(3)]
    for connection in lent:
        connection.close()


def test_a_ping_that_raises_costs_no_slot(make: Callable[..., House], clock: SettableClock) -> None:
    house = make(max_idle=3000.0, keepalive_interval=10.0)
    house.pings.error = AttributeError("no such thing")
    clock.advance(11.0)
    with pytest.raises(AttributeError):
        house.housekeeper.run_once()
    assert (house.pool.checkedin(), house.pool.checkedout(), house.closed()) == (2, 0, {"lost": 1})


def test_an_error_with_one_engine_keeps_no_other_from_being_maintained(
    make: Callable[..., House], clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    houses = [make(max_idle=3000.0, keepalive_interval=10.0) for _ in range(2)]
    monkeypatch.setattr(housekeeper, "_housekeepers", [house.housekeeper for house in houses])
    houses[0].pings.error = AttributeError("no such thing")
    clock.advance(11.0)
    assert housekeeper._run_all() > 0
    assert houses[1].pings.count == 3


def test_a_connection_of_great_age_is_renewed_before_a_request_meets_it(
    make: Callable[..., House], clock: SettableClock
) -> None:
    house = make(recycle=100, max_idle=3000.0, keepalive_interval=3000.0)
    clock.advance(101.0)
    house.housekeeper.run_once()
    assert house.closed() == {"age": 3}


def test_the_thread_ends_when_it_is_told_to_and_starts_again_with_a_connect(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path / 'test.sqlite'}")
    settings = PoolSettings(size=1)
    engine = create_engine(url, **{**engine_options(settings, url, threads=1), "pool_events": []})
    was_running = housekeeper._thread.is_running()
    housekeeper.stop()
    assert not housekeeper._thread.is_running()
    housekeeper.register_engine(engine, settings, None, LeakDetector(track_checkouts(engine, "test"), 60.0, 1))
    with engine.connect():
        assert housekeeper._thread.is_running()
    engine.dispose()
    if not was_running:
        housekeeper.stop()
