"""What is not documented does not exist: settings, commands, and the commands that README shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from poolproof.settings import PoolSettings
from poolproof.settings import variable as pool_variable
from tests.support.narrowing import match_in
from webapp.cli import COMMANDS, create_cli, load_command
from webapp.lab.services.poolproof_service import run_poolproof_service
from webapp.settings import ServiceSettings

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text()
CONFIGURATION = (PROJECT / "docs" / "configuration.md").read_text()


def variables() -> list[str]:
    pool = [pool_variable(field.name) for field in fields(PoolSettings)]
    service = [f"POOLPROOF_{name.upper()}" for name in ServiceSettings.model_fields]
    return ["DATABASE_URL", *pool, *service]


@pytest.mark.parametrize("variable", variables())
def test_every_setting_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in CONFIGURATION


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE)) == set(variables())


def test_every_link_between_documents_leads_somewhere() -> None:
    for page in [PROJECT / "README.md", *PROJECT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_it_says_of_itself(name: str) -> None:
    itself = load_command(name).get_short_help_str(limit=200).rstrip(".")
    assert itself
    assert COMMANDS[name].short_help.rstrip(".") == itself


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(create_cli(lambda: Flask(__name__)), ["--help"]).output
    assert set(re.findall(r"^  ([a-z-]+)  ", shown.partition("Commands:")[2], re.MULTILINE)) == set(COMMANDS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="README's commands need curl")
def test_the_quiz_that_readme_plays_with_curl_ends_on_the_board(tmp_path: Path) -> None:
    script = match_in(r"```bash\n(.*?)```", README, re.DOTALL)[1]
    with run_poolproof_service(f"sqlite:///{tmp_path / 'readme.sqlite'}", tmp_path, POOLPROOF_WORKERS="1") as service:
        script = script.replace("http://127.0.0.1:8000", service.address)
        command = ["bash", "-euo", "pipefail", "-c", f"PASSWORD='{service.password}'\n{script}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    board = done.stdout[done.stdout.rindex('{"finished"') :]
    assert '"player_name":"Grace"' in board
    assert '"score":1' in board


def examples() -> list[str]:
    page = (PROJECT / "docs" / "pooling.md").read_text()
    return [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import" in code]


def test_the_example_of_another_flask_app_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notes"}
    exec(examples()[0], names)  # noqa: S102 - our own page
    assert names["app"].test_client().get("/").text.startswith("It is 20")
    pooling = names["app"].extensions["pooling"]
    for lane in pooling.lanes:
        assert lane.engine.pool.checkedout() == 0
        lane.engine.dispose()


def test_the_example_with_sqlalchemy_alone_prints_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(examples()[1], names)  # noqa: S102 - our own page
    names["engine"].dispose()
    assert 'db_client_connection_count{db_client_connection_pool_name="main",' in capsys.readouterr().out


def test_the_examples_are_short() -> None:
    for example in examples():
        assert len([line for line in example.splitlines() if line.strip()]) <= 20
