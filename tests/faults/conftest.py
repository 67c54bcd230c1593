"""A server that the tests of a module may restart, freeze and reconfigure."""

from __future__ import annotations

import pytest

from tests.support.databases import Databases
from webapp.lab.services.database_server import Server
from webapp.lab.services.programs import Flavour


@pytest.fixture(scope="module")
def server(databases: Databases, server_flavour: Flavour) -> Server:
    """A server that these tests may restart and reconfigure; it has 20 connections and an empty schema `poolproof`."""
    return databases.breakable(server_flavour, "--max-connections=20")


@pytest.fixture(scope="module")
def prepared(databases: Databases, server: Server) -> None:
    """Bring that schema into the state after a service's first start."""
    databases.restore(server, "poolproof", "prepared")
