"""A server that the tests of a module may restart, freeze and reconfigure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from webapp.lab.services.database_server import Server, new_server
from webapp.lab.services.programs import Flavour


@pytest.fixture(scope="module")
def server(server_flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that these tests may restart and reconfigure; it has 20 connections."""
    server = new_server(server_flavour, tmp_path_factory.mktemp("faults") / "server", "--max-connections=20")
    server.create_database("poolproof")
    yield server
    server.stop()
