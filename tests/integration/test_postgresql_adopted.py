"""An application on PostgreSQL whose engine was adopted: its sessions are its own, and the pool is ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from poolproof.adoption.engines import adopt, adopted_lane
from poolproof.adoption.settings import AdoptSettings
from poolproof.capacity.server_info import read_processlist
from poolproof.fleet.process_snapshot import connection_id
from tests.support.postgresql import all_slots_are_there
from webapp.lab.services.postgresql_server import PostgresqlServer
from webapp.lab.services.proxy import Proxy

THREADS, HOLD, SECONDS = 40, 0.02, 2.0
MakeEngine = Callable[[URL], Engine]


@pytest.fixture
def adopted() -> Iterator[MakeEngine]:
    engines = []

    def make(url: URL) -> Engine:
        engine = create_engine(url, pool_size=4, max_overflow=0)
        engines.append(adopt(engine, settings=AdoptSettings(ping_idle_after=0.05)))
        return engine

    yield make
    for engine in engines:
        engine.dispose()


def test_connections_that_a_firewall_has_dropped_cost_a_ping_and_no_error(
    adopted: MakeEngine, postgresql_url: URL, postgresql: PostgresqlServer
) -> None:
    proxy = Proxy(postgresql.port)
    try:
        engine = adopted(postgresql_url.set(port=proxy.port))
        assert all_slots_are_there(engine, 2)
        proxy.drop_traffic()
        time.sleep(0.1)
        started_at = time.monotonic()
        assert all_slots_are_there(engine, 2)
        assert time.monotonic() - started_at < 20
    finally:
        proxy.close()


def test_a_checkout_has_the_id_that_the_server_has_of_it(adopted: MakeEngine, postgresql_url: URL) -> None:
    engine = adopted(postgresql_url)
    with engine.connect() as connection:
        (checkout,) = adopted_lane(engine).leak_detector.checkouts.live()
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() == connection_id(checkout)
        assert str(connection_id(checkout)) in read_processlist(connection)


def test_forty_threads_on_four_connections_are_served_alike(adopted: MakeEngine, postgresql_url: URL) -> None:
    engine, ends_at = adopted(postgresql_url), time.monotonic() + SECONDS

    def use(number: int) -> int:
        count = 0
        while time.monotonic() < ends_at:
            with engine.begin() as connection:
                connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": HOLD})
            count += 1
        return count

    with ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(use, range(THREADS)))
    jain = sum(counts) ** 2 / (THREADS * sum(count * count for count in counts))
    assert jain >= 0.99, counts


def test_a_killed_session_costs_its_user_an_error_and_the_pool_no_slot(
    adopted: MakeEngine, postgresql_url: URL, postgresql: PostgresqlServer
) -> None:
    engine = adopted(postgresql_url)
    with engine.connect() as connection:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1"))
    assert all_slots_are_there(engine, 4)
