"""Six injected faults on the running service, each named once and rightly in its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.fleet import eventually
from tests.integration.test_misbehaving import misbehaving
from webapp.lab.services.programs import Flavour

PATIENCE = {"POOL_LEAK_THRESHOLD": "0.5"}


@pytest.fixture(scope="module")
def running(
    server_flavour: Flavour, prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Path]]:
    """One worker whose leak detector reports soon: its port and its log."""
    url = prepared_schema(server_flavour, "poolproof_named")
    with misbehaving(url, tmp_path_factory.mktemp("named"), workers=1, **PATIENCE) as running:
        yield running


def named(log: Path) -> list[str]:
    """What the leak detector has reported, in the service's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line["logger"] == "poolproof.leaks.leak_detector"]


@pytest.mark.parametrize(
    ("view", "kind", "function"),
    [
        ("leaks", "leaked", "leaks"),
        ("orphans", "orphaned", "<lambda>"),
        ("forgets", "orphaned", "forgets"),
        ("idles", "idle-held", "idles"),
        ("lingers", "long statement", "lingers"),
        ("nests", "nested", "nests"),
    ],
)
def test_an_injected_fault_is_named_with_who_where_and_what_to_do(
    view: str, kind: str, function: str, running: tuple[int, Path]
) -> None:
    port, log = running
    address = f"http://127.0.0.1:{port}/wrong"
    before = len(named(log))
    assert httpx2.get(f"{address}/{view}", timeout=60).status_code == 200
    eventually(lambda: len(named(log)) > before, log)
    # When it is back, nothing more can be said of it.
    eventually(lambda: httpx2.get(f"{address}/out", timeout=60).json()["out"] == 0, log)
    (sentence,) = named(log)[before:]
    assert sentence.startswith(f"A connection of the interactive lane is {kind}: ")
    assert "tests/integration/misbehaving.py:" in sentence
    assert f"in {function}" in sentence
    if view != "orphans":
        assert f"GET wrong.{view} (request " in sentence
