"""Schemathesis against a running service: at each address it answers as its document says, whatever is sent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import PROJECT
from tests.support.accounts import PASSWORD
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

CONFIGURATION = PROJECT / "tests" / "integration" / "schemathesis.toml"
SHORT_RUN = ["--max-examples", "2", "--generation-deterministic"]
LONG_RUN = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "200", "--max-time", "300"]


@pytest.fixture(scope="module")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url = prepared_schema("sqlite", "schemathesis")
    folder = tmp_path_factory.mktemp("service")
    with run_poolproof_service(url, folder, POOLPROOF_WORKERS="1", POOLPROOF_PLAYER_RATE_LIMIT="0") as service:
        added = service.run_command("user", "add", "grace", "--role", "operator", "--password-stdin", stdin=PASSWORD)
        assert added.returncode == 0, added.stderr
        yield service


def run_schemathesis(service: PoolproofService, listener: str, folder: Path, *options: str) -> str:
    """Test a listener in the name of an operator; return the output, or fail with it."""
    signed_in = httpx2.post(f"{listener}/api/v1/tokens", json={"name": "grace", "password": PASSWORD})
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIGURATION),
        "run", f"{listener}/api/v1/openapi.json", "--no-color",
        "--header", f"Authorization: Bearer {signed_in.raise_for_status().json()['token']}", *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Traceback" not in service.log.read_text()
    return done.stdout


@pytest.mark.slow("some hundred requests of all operations")
def test_the_players_door_answers_as_its_document_says(service: PoolproofService, tmp_path: Path) -> None:
    output = run_schemathesis(service, service.address, tmp_path, "--phases", "examples,fuzzing,stateful", *SHORT_RUN)
    assert "✅ Stateful" in output


def test_the_consoles_door_has_what_the_players_door_has_not(service: PoolproofService, tmp_path: Path) -> None:
    options = ["--phases", "fuzzing", "--include-path-regex", "pools|v1$"]
    output = run_schemathesis(service, service.console, tmp_path, *options, *SHORT_RUN)
    assert "Tested: 2" in output


@pytest.mark.soak
@pytest.mark.parametrize("listener", ["address", "console"])
def test_for_five_minutes_each_door_answers_as_its_document_says(
    service: PoolproofService, tmp_path: Path, listener: str
) -> None:
    run_schemathesis(service, getattr(service, listener), tmp_path, *LONG_RUN)
