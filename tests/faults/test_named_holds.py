"""Five injected faults on the running service, each named rightly in its log; and ordinary play, of which none is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.faults.test_misbehaving import misbehaving
from webapp.lab.loadgen.storm import storm
from webapp.lab.services.poolproof_service import serving
from webapp.lab.services.programs import Flavour

PATIENCE = {"POOL_WATCH_AFTER": "0.5"}


@pytest.fixture
def url(server_flavour: Flavour, prepared_schema: Callable[[str, str], str]) -> str:
    return prepared_schema(server_flavour, "poolproof_named")


def named(log: Path) -> list[str]:
    """What the watch has said, in the service's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line["logger"] == "webapp.pooling.watch"]


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
    view: str, kind: str, function: str, url: str, tmp_path: Path
) -> None:
    with misbehaving(url, tmp_path, workers=1, **PATIENCE) as (port, log):
        assert httpx.get(f"http://127.0.0.1:{port}/wrong/{view}", timeout=20).status_code == 200
        deadline = time.monotonic() + 10
        while not named(log):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        time.sleep(0.5)
        out = httpx.get(f"http://127.0.0.1:{port}/wrong/out").json()["out"]
    assert len(named(log)) == 1
    sentence = named(log)[0]
    assert sentence.startswith(f"A connection of the interactive lane is {kind}: ")
    assert "tests/faults/misbehaving.py:" in sentence
    assert f"in {function}" in sentence
    if view != "orphans":
        assert f"GET wrong.{view} (request " in sentence
    assert out == 0


def test_ordinary_play_under_load_is_never_named(url: str, tmp_path: Path) -> None:
    with serving(url, tmp_path, POOLPROOF_WORKERS="1") as service, storm(service.address) as running:
        time.sleep(8)
    assert len(running.outcomes) > 200
    assert named(service.log) == []
