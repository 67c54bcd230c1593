"""The lab on the command line: what is kept can be found again, and what is missing is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click
import pytest
from flask import Flask

from poolproof.lab.reporting.report import save_report
from tests.support import PROJECT
from tests.support.commands import called
from tests.unit.poolproof.lab.reporting.test_report import REPORT
from webapp.cli import create_cli
from webapp.lab.commands import LAZY_COMMANDS, lab


def test_kept_reports_are_listed_and_two_are_put_side_by_side(tmp_path: Path) -> None:
    folder, url = tmp_path / "reports", f"sqlite:///{tmp_path}/unused.sqlite"
    names = [save_report(replace(REPORT, title=title), folder).stem for title in ("First", "Second")]
    listed = called(url, tmp_path, "lab", "reports")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in names)
    done = called(url, tmp_path, "lab", "compare", *names, "--json")
    comparison = json.loads(done.stdout)
    assert comparison["tables"][0]["rows"][0] == ["1", 123.456, 123.456, 1.0, None, None, None]
    assert Path(comparison["page"]).parent == folder
    assert "comparison" in Path(comparison["page"]).read_text()


def test_a_folder_without_reports_and_a_name_that_is_none_are_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/unused.sqlite"
    listed = called(url, tmp_path, "lab", "reports", "--reports", str(tmp_path / "empty"))
    assert "There is no report in" in listed.stdout
    done = called(url, tmp_path, "lab", "compare", "one", "two")
    assert done.returncode == 1
    assert "There is no report one" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "new"),
    [
        (("push", "--within", "1"), "--ramp"),
        (("push", "--yes-i-own-this-server"), "--yes"),
        (("incident", "--within", "1"), "--ramp"),
        (("incident", "--limit", "1"), "--give-up-after"),
        (("size", "--within", "0.1"), "--tolerance"),
        (("strategies", "--way", "NullPool"), "--pool"),
        (("drill", "--yes-this-is-staging"), "--yes"),
    ],
)
def test_an_old_option_is_refused_with_the_new_one(app: Flask, arguments: tuple[str, ...], new: str) -> None:
    result = app.test_cli_runner().invoke(create_cli(lambda: app), ["lab", *arguments])
    assert result.exit_code == 2
    assert f"{arguments[1]} is called {new} now." in result.output


def test_the_list_of_commands_says_what_each_says_itself() -> None:
    for name, lazy in LAZY_COMMANDS.items():
        command = getattr(import_module(lazy.module), lazy.attribute)
        assert command.help.startswith(lazy.short_help.removesuffix(".")), name


def test_every_option_is_explained_in_a_sentence() -> None:
    context = click.Context(lab)
    for name in LAZY_COMMANDS:
        command = lab.get_command(context, name)
        assert command is not None
        options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
        short = [option.name for option in options if option.help is None or len(option.help.split()) < 3]
        assert short == [], name


WITHOUT_MATPLOTLIB = """
import json, subprocess, sys
sys.modules["matplotlib"] = None
from click.testing import CliRunner
from webapp.app import create_app
from webapp.cli import create_cli
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(create_cli(lambda: create_app(with_routes=False)), ["lab", *arguments])
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


def without_matplotlib(environment: dict[str, str], *calls: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Call `poolproof lab` some times as if the extra were not installed, all in one process."""
    command = [sys.executable, "-c", WITHOUT_MATPLOTLIB, json.dumps(calls)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [subprocess.CompletedProcess(call, *line) for call, line in zip(calls, lines, strict=True)]
