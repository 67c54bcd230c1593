"""`poolproof lab`: the table of its commands. Each is imported when it is called; some need libraries of an extra."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple, cast

import click


class LazyCommand(NamedTuple):
    """Where a command is, and the line that the list of commands shows for it."""

    module: str
    attribute: str
    short_help: str


LAZY_COMMANDS = {
    "compare": LazyCommand("webapp.lab.reporting.commands", "compare", "Put two reports side by side on one page."),
    "drill": LazyCommand(
        "webapp.lab.drills.commands", "command", "Rehearse outages on servers that the lab starts itself."
    ),
    "incident": LazyCommand(
        "webapp.lab.incident.commands", "command", "Push at Flask-SQLAlchemy with its defaults, then at Poolproof."
    ),
    "push": LazyCommand("webapp.lab.push.commands", "command", "Let many people play one quiz at the same time."),
    "reports": LazyCommand("webapp.lab.reporting.commands", "reports", "List the stored reports, newest first."),
    "size": LazyCommand(
        "webapp.lab.sizing.commands", "command", "Find the right number of workers, threads and connections."
    ),
    "strategies": LazyCommand("webapp.lab.pools.commands", "command", "Do the same work with each kind of pool."),
}
EXTRA_LIBRARIES = {"matplotlib", "numpy", "scipy"}
"""Libraries of the extra `lab`: all commands but push, reports and compare need them."""


class _LazyGroup(click.Group):
    """The commands of the table above."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(LAZY_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _load_command(name) if name in LAZY_COMMANDS else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, and load none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.short_help) for name, command in sorted(LAZY_COMMANDS.items())])


def _load_command(name: str) -> click.Command:
    command = LAZY_COMMANDS[name]
    try:
        return cast("click.Command", getattr(import_module(command.module), command.attribute))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA_LIBRARIES:
            raise
        return _missing_extra_command(name, missing)


def _missing_extra_command(name: str, missing: str) -> click.Command:
    def refuse() -> None:
        raise click.ClickException(f"poolproof lab {name} needs {missing}: pip install poolproof-quiz[lab]")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, settings, refuse, help="Not installed: pip install poolproof-quiz[lab].")


@click.group(cls=_LazyGroup)
def lab() -> None:
    """Rehearse a push, an incident and outages, and find the right size.

    Commands other than push, reports and compare need an extra:

    pip install poolproof-quiz[lab]
    """
