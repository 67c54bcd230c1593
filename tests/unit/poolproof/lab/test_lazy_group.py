from __future__ import annotations

import click
from click.testing import CliRunner

from poolproof.lab.lazy_group import LazyCommand, LazyGroup

TABLE = {
    "gone": LazyCommand("no_such_library", "command", "It needs what is not there."),
    "broken": LazyCommand("poolproof.no_such_module", "command", "It is a mistake of ours."),
}


@click.group(
    cls=LazyGroup, lazy_commands=TABLE, program="python -m poolproof", extra="x[y]", libraries={"no_such_library"}
)
def group() -> None:
    """Group."""


def test_the_list_is_written_without_loading_a_command() -> None:
    assert "It needs what is not there." in CliRunner().invoke(group, ["--help"]).output


def test_a_command_whose_library_is_missing_says_what_to_install() -> None:
    done = CliRunner().invoke(group, ["gone", "--url", "x"])
    assert (done.exit_code, done.output) == (
        1,
        "Error: python -m poolproof gone needs no_such_library: pip install x[y]\n",
    )


def test_another_missing_module_is_an_error_of_ours() -> None:
    assert isinstance(CliRunner().invoke(group, ["broken"]).exception, ModuleNotFoundError)
    assert CliRunner().invoke(group, ["other"]).exit_code == 2
