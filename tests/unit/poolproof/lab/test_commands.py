"""`python -m poolproof`: each command is explained, and none of them is the quiz's."""

from __future__ import annotations

from importlib import import_module

import click
import pytest

from poolproof.lab.commands import COMMANDS, LAB_COMMANDS, lab, program

ALL = {**{f"lab {name}": lazy for name, lazy in LAB_COMMANDS.items()}, "doctor": COMMANDS["doctor"]}


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_every_option_is_explained(name: str) -> None:
    lazy = ALL[name]
    command = getattr(import_module(lazy.module), lazy.attribute)
    assert command.help.startswith(lazy.short_help.removesuffix("."))
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    assert [option.name for option in options if option.help is None or len(option.help.split()) < 3] == []


def test_the_groups_list_their_commands() -> None:
    context = click.Context(program)
    assert program.list_commands(context) == ["doctor", "lab"]
    assert program.get_command(context, "lab") is lab
