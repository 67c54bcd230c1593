from __future__ import annotations

from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from webapp.cli import COMMANDS, RENAMED_COMMANDS, create_cli, load_command

DEFINED_ELSEWHERE = {"db", "lab", "routes", "shell"}
"""By Flask and Flask-Migrate, and by the lab, which has tests of its own."""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "birds.csv"], "`poolproof import` is called `poolproof items import` now."),
        (["undo-import", "7"], "`poolproof undo-import` is called `poolproof items undo` now."),
        (["export"], "`poolproof export` is called `poolproof items export` now."),
        (["user", "password", "ada"], "`poolproof user password` is called `poolproof user set-password` now."),
        (["collect", "--worker"], "`poolproof collect --worker` is called `poolproof collect worker` now."),
        (["collect", "--list"], "`poolproof collect --list` is called `poolproof collect list` now."),
        (["collect", "--resume", "7"], "`poolproof collect --resume` is called `poolproof collect resume` now."),
        (["collect", "--resume=7"], "`poolproof collect --resume` is called `poolproof collect resume` now."),
        (["collect", "opentdb"], "a source of this name is collected by `poolproof collect run opentdb` now."),
    ],
)
def test_a_former_command_is_refused_with_the_present_one(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(create_cli(lambda: Flask(__name__)), arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert sentence in result.stderr


@pytest.mark.parametrize("present", sorted(set(RENAMED_COMMANDS.values())))
def test_the_present_name_of_a_former_command_is_a_command(present: str) -> None:
    group, name = present.split()
    command = load_command(group)
    assert isinstance(command, click.Group)
    assert name in command.commands


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - DEFINED_ELSEWHERE))
def test_every_option_of_a_command_has_a_sentence_of_help(name: str) -> None:
    command = load_command(name)
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for option in (option for each in commands for option in each.params if isinstance(option, click.Option)):
        assert option.help, option.name
        assert option.help.rstrip().endswith((".", "]")), option.help


def test_the_version_is_said_without_an_app() -> None:
    def refuse() -> Flask:
        raise AssertionError("no app is needed")

    result = CliRunner().invoke(create_cli(refuse), ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Poolproof {version('poolproof-quiz')}, Python 3.")
