"""An outage of the server, then quiet for longer than every interval: afterwards every slot can be borrowed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.engine import engine_options
from poolproof.health.housekeeper import Housekeeper
from poolproof.health.liveness import Liveness
from poolproof.lanes import Lane, Lanes, background_settings, console_settings, open_lanes
from poolproof.settings import PoolSettings
from tests.integration.conftest import OPTIONS, TWO_WORKERS, WORKERS
from tests.integration.fleet import eventually
from tests.integration.test_service_faults import fill, kill
from tests.support import PROJECT
from tests.support.clock import SettableClock
from tests.support.databases import Databases
from tests.support.lending import lend_every_slot, slots_of
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.programs import Flavour

SIZE = 3
SETTINGS = PoolSettings(
    size=SIZE, timeout=1.0, connect_timeout=0.5, read_timeout=1.5, statement_timeout=1.0, codel_target=0.0
)
ASKED = 16
"""How often a service is asked: each worker many times."""


@contextmanager
def stopped(server: DatabaseServer) -> Iterator[None]:
    server.stop()
    yield
    server.start(*OPTIONS)


@contextmanager
def crashed(server: DatabaseServer) -> Iterator[None]:
    server.kill()
    yield
    server.start(*OPTIONS)


@contextmanager
def frozen(server: DatabaseServer) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@contextmanager
def connections_killed(server: DatabaseServer) -> Iterator[None]:
    kill_all(server)
    yield


@contextmanager
def full(server: DatabaseServer) -> Iterator[None]:
    with ExitStack() as others:
        kill_all(server)
        fill(server, others)
        yield


def kill_all(server: DatabaseServer) -> None:
    ours = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = 'poolproof'"
    for (number,) in server.execute(ours):
        kill(server, number)


@pytest.fixture
def lanes(server: DatabaseServer, clock: SettableClock) -> Iterator[Lanes]:
    url = make_url(server.url("poolproof"))
    lanes = open_lanes(create_engine(url, **engine_options(SETTINGS, url, threads=SIZE)), SETTINGS)
    yield lanes
    for lane in lanes:
        lane.engine.dispose()


def ask(lane: Lane) -> None:
    """Want all connections of a lane at once, and again, whether they can be had or not."""

    def use(_: int) -> None:
        with suppress(SQLAlchemyError), lane.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    slots = slots_of(lane.engine)
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(use, range(2 * slots)))


def be_quiet(lane: Lane, settings: PoolSettings, clock: SettableClock) -> None:
    """Let more time pass than every interval has, with a round of the housekeeper after each."""
    housekeeper = Housekeeper(lane.engine, settings, Liveness(lane.engine, settings), lane.leak_detector)
    for seconds in (settings.ping_idle_after, settings.keepalive_interval, settings.max_idle, 7 * 3600.0):
        clock.advance(seconds + 1)
        # Its thread notes an error in the log and goes on, too.
        with suppress(Exception):
            housekeeper.run_once()


@pytest.mark.parametrize("outage", [stopped, crashed, frozen, full], ids=lambda outage: outage.__name__)
def test_every_slot_of_every_lane_can_be_borrowed_after_an_outage_and_quiet(
    server: DatabaseServer,
    lanes: Lanes,
    clock: SettableClock,
    outage: Callable[[DatabaseServer], AbstractContextManager[None]],
) -> None:
    for lane in lanes:
        lend_every_slot(lane.engine)
    with outage(server):
        for lane in lanes:
            ask(lane)
    all_settings = (SETTINGS, background_settings(SETTINGS), console_settings(SETTINGS))
    for lane, settings in zip(lanes, all_settings, strict=True):
        be_quiet(lane, settings, clock)
    lent = {lane.name: lend_every_slot(lane.engine) for lane in lanes}
    assert lent == {"interactive": (SIZE, SIZE), "background": (2, 2), "console": (1, 1)}


def test_every_slot_of_every_lane_can_be_borrowed_after_connections_were_killed(
    server: DatabaseServer, lanes: Lanes, clock: SettableClock
) -> None:
    for lane in lanes:
        lend_every_slot(lane.engine)
    with connections_killed(server):
        for lane in lanes:
            ask(lane)
            be_quiet(lane, SETTINGS, clock)
    assert all(lent == limit for lent, limit in (lend_every_slot(lane.engine) for lane in lanes))


@contextmanager
def lending_service(server: DatabaseServer, folder: Path, **settings: str) -> Iterator[PoolproofService]:
    """The service with a view that lends all."""
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "tests.integration.lending:app"]
    with run_poolproof_service(server.url("poolproof"), folder, PROJECT, command, **settings) as service:
        yield service


def readiness(service: PoolproofService) -> set[int]:
    return {httpx2.get(f"{service.address}/readyz", timeout=30).status_code for _ in range(ASKED)}


def wait_until_ready(service: PoolproofService) -> None:
    """Wait until all say so: on a machine that stands still the database may take longer than a second to answer."""
    eventually(lambda: readiness(service) == {200}, service.log)


def lent_by_workers(service: PoolproofService) -> dict[int, dict[str, list[int]]]:
    """Have each worker lend all that it has; lane → how many it lent, and how many it has to."""
    lent: dict[int, dict[str, list[int]]] = {}

    def all_have_lent() -> bool:
        told = httpx2.get(f"{service.address}/lend", timeout=90).json()
        lent[told["worker"]] = told["lanes"]
        return len(lent) == WORKERS

    eventually(all_have_lent, service.log)
    return lent


def assert_outages_cost_nothing(
    service: PoolproofService, server: DatabaseServer, end: Callable[[], None], times: int, quiet: float
) -> None:
    options = server.options
    for _ in range(times):
        wait_until_ready(service)
        end()
        assert readiness(service) == {503}
        server.start(*options)
        time.sleep(quiet)
    wait_until_ready(service)
    lent = lent_by_workers(service)
    assert all(count == limit for lanes in lent.values() for count, limit in lanes.values()), lent


@pytest.mark.slow(reason="a service of its own, and its server is restarted")
def test_the_service_is_ready_and_lends_all_after_restarts_of_its_server_and_quiet(
    server: DatabaseServer, prepared: None, tmp_path: Path
) -> None:
    # Longer than it takes from the last answer of the server to the first question in the outage: its connections are
    # found to be lost by those who ask, not by the housekeeper.
    interval = 2.0
    with lending_service(server, tmp_path, **TWO_WORKERS, POOL_KEEPALIVE_INTERVAL=str(interval)) as service:
        assert_outages_cost_nothing(service, server, server.kill, times=1, quiet=2 * interval)


@pytest.mark.soak
def test_with_default_settings_the_service_is_ready_and_lends_all_after_five_outages_and_quiet(
    databases: Databases, server_flavour: Flavour, tmp_path: Path
) -> None:
    server = new_server(server_flavour, tmp_path / "server")
    try:
        databases.restore(server, "poolproof", "prepared")
        with lending_service(server, tmp_path / "service", POOLPROOF_COLLECTOR_PROCESSES="1") as service:
            assert_outages_cost_nothing(service, server, server.stop, times=5, quiet=30.0)
    finally:
        server.stop()
