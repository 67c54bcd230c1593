"""Whatever the server's product and settings: an hour in the life of the service, in fast motion, has no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.databases import Databases
from tests.support.life import STEPS, life_on
from tests.support.server_configurations import COMBINED, MATRIX, ServerConfiguration, start_configured
from webapp.lab.services.programs import Flavour


def live_through(configuration: ServerConfiguration, folder: Path) -> None:
    server = start_configured(configuration, folder / "server")
    try:
        with life_on(server, folder / "service") as life:
            for step in STEPS:
                step(life)
    finally:
        server.stop()


@pytest.mark.slow(reason="a server, a service and a collector of its own, each restarted or used in full")
@pytest.mark.parametrize("name", COMBINED)
def test_a_life_on_a_server_with_many_unusual_settings(
    databases: Databases, server_flavour: Flavour, tmp_path: Path, name: str
) -> None:
    if COMBINED[name].flavour != server_flavour:
        pytest.skip(f"this run is about {server_flavour}")
    live_through(COMBINED[name], tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", MATRIX)
def test_a_life_on_a_server_that_differs_in_one_thing(tmp_path: Path, name: str) -> None:
    live_through(MATRIX[name], tmp_path)
