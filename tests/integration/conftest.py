"""A server that these tests restart, freeze and reconfigure, and a service on it; each test hands both on whole."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.integration.fleet import eventually
from tests.support.databases import Databases
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.programs import Flavour

OPTIONS = ("--max-connections=24",)
# 2 × (2 + 1 + 1 + 1) connections, twice while it reloads, 1 × 2 beside it, 2 in reserve: 24, all that the server has.
WORKERS = 2
TWO_WORKERS = {
    "POOLPROOF_WORKERS": str(WORKERS), "POOLPROOF_THREADS": "2", "POOL_BACKGROUND_SIZE": "1",
    # A read of a server that is mute ends long before a request's deadline of 20 s.
    "POOL_STATEMENT_TIMEOUT": "5", "POOL_READ_TIMEOUT": "6",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(databases: Databases, server_flavour: Flavour) -> DatabaseServer:
    """A server that these tests may restart and reconfigure; it has 24 connections and an empty schema `poolproof`."""
    return databases.breakable(server_flavour, *OPTIONS)


@pytest.fixture(scope="module")
def prepared(databases: Databases, server: DatabaseServer) -> None:
    """Bring that schema into the state after a service's first start."""
    databases.restore(server, "poolproof", "prepared")


@pytest.fixture(autouse=True)
def _server_is_handed_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that fails while its server is away fail alone."""
    yield
    if "server" in request.fixturenames:
        server: DatabaseServer = request.getfixturevalue("server")
        if server.process is None or server.process.poll() is not None:
            server.start(*OPTIONS)
        server.resume()


@pytest.fixture(scope="module")
def shared_service(
    server: DatabaseServer, prepared: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    """The service of a module, with an ordinary account."""
    server.execute("CREATE USER IF NOT EXISTS player@'%' IDENTIFIED BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO player@'%'")
    url = server.url("poolproof", "player", "a%20secret")
    with run_poolproof_service(url, tmp_path_factory.mktemp("service"), **TWO_WORKERS) as service:
        yield service


@pytest.fixture
def service(shared_service: PoolproofService) -> PoolproofService:
    """The same service, whole again after whatever was done to it before."""
    if shared_service.process.poll() is not None:
        shared_service.start()
    eventually(lambda: is_whole(shared_service), shared_service.log)
    return shared_service


def is_whole(service: PoolproofService) -> bool:
    """Say whether all workers are there, and one of them reaches the database."""
    try:
        all_are_there = len(service.workers()) == int(service.environment["POOLPROOF_WORKERS"])
        return all_are_there and httpx2.get(f"{service.address}/readyz").status_code == 200
    except httpx2.TransportError:
        return False
