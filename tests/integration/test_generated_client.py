"""Clients that openapi-python-client generates from both doors' documents play a quiz from its making to its result.

The generator and what it generates need libraries that are none of ours: the test makes an environment of its own.
"""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.accounts import PASSWORD
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

REQUIREMENTS = ("openapi-python-client==0.29.1",)
PLAY = Path(__file__).with_name("generated_client_plays.txt")
"""A program of the environment below; what it imports is generated."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the generator, and what its clients import."""
    folder = tmp_path_factory.mktemp("generator")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    subprocess.run(install, check=True)
    return python


@pytest.fixture(scope="module")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url = prepared_schema("sqlite", "generated_client")
    folder = tmp_path_factory.mktemp("service")
    with run_poolproof_service(url, folder, POOLPROOF_WORKERS="1") as service:
        added = service.run_command("user", "add", "grace", "--role", "operator", "--password-stdin", stdin=PASSWORD)
        assert added.returncode == 0, added.stderr
        yield service


@pytest.mark.soak
@pytest.mark.parametrize("listener", ["address", "console"])
def test_a_generated_client_makes_publishes_plays_and_reads_a_quiz(
    service: PoolproofService, python: Path, tmp_path: Path, listener: str
) -> None:
    address = getattr(service, listener)
    generate = [
        str(python.with_name("openapi-python-client")), "generate", "--url", f"{address}/api/v1/openapi.json",
        "--output-path", str(tmp_path / "client"), "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    # The generator calls ruff, which is beside it.
    path = {"PATH": f"{python.parent}{os.pathsep}{os.defpath}"}
    generated = subprocess.run(generate, cwd=tmp_path, capture_output=True, text=True, check=False, env=path)
    assert generated.returncode == 0, generated.stdout + generated.stderr
    played = subprocess.run(
        [str(python), str(PLAY), address, "grace", PASSWORD, listener], cwd=tmp_path, capture_output=True, text=True,
        check=False, env=path | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.strip() == "Grace: 1 of 1, place 1"
