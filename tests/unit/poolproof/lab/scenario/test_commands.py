"""`python -m poolproof lab load`: an application over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from poolproof.lab.scenario.commands import command
from tests.unit.poolproof.lab.scenario.shop import SCENARIO, serve_shop
from tests.unit.poolproof.lab.scenario.test_bench import APP


def invoke(folder: Path, written: str, *arguments: str) -> tuple[int, str]:
    (folder / "shop.toml").write_text(written)
    options = ["--scenario", str(folder / "shop.toml"), "--reports", str(folder), *arguments]
    done = CliRunner().invoke(command, options, prog_name="load")
    return done.exit_code, done.output


def test_a_scenario_is_run_and_what_was_not_expected_is_reported(tmp_path: Path) -> None:
    with serve_shop(tmp_path) as address:
        wrong = SCENARIO.replace("expect = [201]", "expect = [200]")
        code, text = invoke(tmp_path, wrong, "--address", str(address), "--json")
    assert code == 1, text
    report = json.loads(text[text.index("{") :])
    failed = {row[0]: row[2] for row in report["tables"][0]["rows"]}
    assert failed["GET /"] == failed["POST /sign-in"] == 0
    assert failed["POST /orders"] == report["data"]["wrong"] == report["data"]["errors"]["201"] > 0
    assert list(tmp_path.glob("*-load.html"))


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "Give --address or --start, one of them."),
        (("--address", "http://192.0.2.1"), 2, "192.0.2.1 is not this machine"),
        (("--address", "nowhere"), 1, "nowhere is no address"),
    ],
)
def test_what_cannot_be_run_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    exit_code, text = invoke(tmp_path, SCENARIO, *arguments)
    assert exit_code == code
    assert sentence in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.soak
def test_a_pool_size_is_recommended_for_an_application_that_the_lab_starts(tmp_path: Path) -> None:
    start = f"{APP} sqlite:///{tmp_path}/shop.sqlite {{port}} {{pool}}"
    options = ("--start", start, "--minutes", "0.1", "--repetitions", "2", "--largest", "4", "--json")
    code, text = invoke(tmp_path, SCENARIO, *options)
    assert code == 0, text
    report = json.loads(text[text.index("\n{") :])
    assert report["data"]["recommended"]["pool"] > 1
    assert "pool_size=" in report["settings"]
