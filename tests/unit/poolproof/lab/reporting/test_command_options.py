from __future__ import annotations

import click
from click.testing import CliRunner

from poolproof.lab.reporting.command_options import renamed_option


@click.command()
@renamed_option("--within", "--ramp")
def command() -> None:
    click.echo("done")


def test_the_old_name_of_an_option_is_refused_with_the_new_one_and_not_listed() -> None:
    refused = CliRunner().invoke(command, ["--within", "3"])
    assert (refused.exit_code, "--within is called --ramp now." in refused.output) == (2, True)
    assert CliRunner().invoke(command).output == "done\n"
    assert "--within" not in CliRunner().invoke(command, ["--help"]).output
