"""What the lab's drills do to MySQL, done to PostgreSQL: a small load goes on, and no slot of the pool is lost.

`make test` runs them with psycopg 3 on the newest server; `make soak` also with psycopg2, and on an older server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from poolproof.settings import PoolSettings
from tests.support.postgresql import all_slots_are_there, new_database
from tests.support.waiting import wait_until
from webapp.lab.drills.paced_load import PacedLoad
from webapp.lab.drills.pool_under_test import CREATE_NOTES, PoolUnderTest, create_pool
from webapp.lab.services.postgresql_server import PostgresqlServer, start_postgresql
from webapp.lab.services.proxy import Proxy

THREADS, INTERVAL = 4, 0.04
KILL_ROUNDS = 15
pytestmark = pytest.mark.slow(reason="a fault has to last, and what follows it as well")


@dataclass
class Drill:
    """A pool on a database of its own, under load."""

    pool: PoolUnderTest
    load: PacedLoad
    errors: list[str] = field(default_factory=list)

    def wait_for_units(self, count: int) -> None:
        """Wait until so many more units have ended."""
        wanted = len(self.load.samples) + count
        wait_until(lambda: len(self.load.samples) >= wanted)

    def failures(self, since: float = 0.0) -> list[str]:
        """Return the errors of units that began after a moment."""
        return [unit.error for unit in self.load.samples if unit.error and unit.intended_start >= since]

    def wait_until_served(self) -> None:
        """Wait until every thread is served again."""
        self.load.wait_until_served(30.0)
        self.wait_for_units(2 * THREADS)


def create_notes(url: URL) -> None:
    """Create the table that units of work read and write."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in CREATE_NOTES:
            connection.execute(text(statement))


@contextmanager
def running(url: URL, threads: int = THREADS, size: int = THREADS, **settings: Any) -> Iterator[Drill]:
    """Run the load on a pool of ours until the block ends; then all connections can be had at once."""
    create_notes(url)
    address = url.render_as_string(hide_password=False)
    with create_pool(address, size, is_poolproof=True, **settings) as pool:
        load = PacedLoad(pool.read_or_write, threads, INTERVAL, simultaneous=True)
        try:
            drill = Drill(pool, load)
            drill.wait_for_units(3 * threads)
            yield drill
        finally:
            load.stop()
        assert all_slots_are_there(pool.work.engine, size)
        wait_until(lambda: pool.work.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]


ROWS = [
    pytest.param(("psycopg", "sid"), id="psycopg"),
    pytest.param(("psycopg2", "sid"), id="psycopg2", marks=pytest.mark.soak),
    pytest.param(("psycopg", "bookworm"), id="psycopg-15", marks=pytest.mark.soak),
    pytest.param(("psycopg2", "bookworm"), id="psycopg2-15", marks=pytest.mark.soak),
]


@pytest.fixture(params=ROWS, scope="module")
def row(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a server that may be broken; yield it and the name of the driver."""
    driver, suite = request.param
    server = start_postgresql(tmp_path_factory.mktemp("drills") / "server", "max_connections=30", suite=suite)
    yield server, driver
    server.kill()


@pytest.fixture
def backend(row: Any) -> PostgresqlServer:
    server: PostgresqlServer = row[0]
    return server


@pytest.fixture
def url(row: Any) -> URL:
    return new_database(*row)


def test_reads_and_idempotent_writes_succeed_while_all_connections_are_killed(
    backend: PostgresqlServer, url: URL
) -> None:
    with running(url) as drill:
        killed = 0
        for _ in range(KILL_ROUNDS):
            ended = backend.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (url.username,)
            )
            killed += len(ended)
            drill.wait_for_units(THREADS)
        drill.wait_until_served()
    assert killed >= KILL_ROUNDS
    assert drill.failures() == []


def test_a_restart_without_load_fails_no_later_unit(
    backend: PostgresqlServer, url: URL, recorded_events: list[dict[str, str]]
) -> None:
    with running(url) as drill:
        drill.load.pause()
        backend.restart(*backend.options)
        drill.load.resume()
        drill.wait_until_served()
    assert drill.failures() == []
    assert "restart" in {event["kind"] for event in recorded_events}, "all connections were renewed at once"


def test_writes_reach_another_server_soon_after_the_first_one_has_become_read_only(
    backend: PostgresqlServer, url: URL, tmp_path: Path, recorded_events: list[dict[str, str]]
) -> None:
    second = start_postgresql(tmp_path / "second")
    second.create_database(str(url.database), owner=str(url.username))
    create_notes(url.set(port=second.port))
    proxy = Proxy(backend.port)
    try:
        with running(url.set(port=proxy.port)) as drill:
            backend.set_globally("default_transaction_read_only", "on")
            wait_until(lambda: bool(drill.failures()))
            assert "failover" in {event["kind"] for event in recorded_events}, "connections of reads were renewed, too"
            proxy.redirect(second.port)
            redirected_at = time.monotonic()
            drill.wait_until_served()
            drill.wait_for_units(5 * THREADS)
            # Of each thread one unit may have begun on the first server.
            late = [error for error in drill.failures(redirected_at + INTERVAL) if error]
            assert len(late) <= THREADS, late
            drill.wait_for_units(2 * THREADS)
            started_at = time.monotonic()
            drill.wait_for_units(5 * THREADS)
            assert drill.failures(started_at) == []
        assert second.execute("SELECT max(note) FROM poolproof_lab_note", database=str(url.database))[0][0] > 0
    finally:
        proxy.close()
        backend.set_globally("default_transaction_read_only", "off")
        second.kill()


def test_open_connections_serve_every_unit_while_others_have_all_that_is_left(
    backend: PostgresqlServer, url: URL
) -> None:
    others = create_engine(url, poolclass=NullPool)
    with running(url, threads=9) as drill, ExitStack() as taken:
        refused = None
        while refused is None:
            try:
                taken.enter_context(others.connect())
            except DBAPIError as error:
                refused = error
        drill.wait_for_units(50)
        with suppress(DBAPIError):
            taken.enter_context(others.connect())
        drill.wait_for_units(50)
    assert drill.failures() == []


def test_a_server_that_hangs_costs_each_unit_its_time_and_nothing_afterwards(
    backend: PostgresqlServer, url: URL
) -> None:
    with running(url, read_timeout=0.8, statement_timeout=0.5, timeout=0.5) as drill:
        backend.pause()
        try:
            wait_until(lambda: len(drill.failures()) >= 2 * THREADS)
        finally:
            backend.resume()
        drill.wait_until_served()
        resumed_at = time.monotonic()
        drill.wait_for_units(5 * THREADS)
        assert drill.failures(resumed_at) == []
    # A reply that does not come, a ping, and a connect, which libpq allows two seconds.
    assert max(unit.seconds for unit in drill.load.samples) < 15


def test_idle_connections_that_a_firewall_has_dropped_cost_a_ping_and_no_error(
    backend: PostgresqlServer, url: URL
) -> None:
    create_notes(url)
    proxy = Proxy(backend.port)
    try:
        with running(url.set(port=proxy.port)) as drill:
            drill.load.pause()
            wait_until(lambda: drill.pool.work.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
            proxy.drop_traffic()
            # Longer than a connection may be idle and still be lent without a ping.
            time.sleep(2 * PoolSettings.ping_idle_after)
            drill.load.resume()
            drill.wait_until_served()
            drill.wait_for_units(5 * THREADS)
    finally:
        proxy.close()
    assert drill.failures() == []
