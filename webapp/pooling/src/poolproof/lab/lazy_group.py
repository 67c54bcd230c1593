"""A group of commands, each imported when it is called; some need libraries of an extra."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any, NamedTuple, cast

import click

EXTRA_LIBRARIES = frozenset({"jinja2", "matplotlib", "numpy", "pydantic", "scipy"})
"""Libraries of the extra `lab`."""


class LazyCommand(NamedTuple):
    """Where a command is, and the line that the list of commands shows for it."""

    module: str
    attribute: str
    short_help: str


class LazyGroup(click.Group):
    """The commands of a table."""

    def __init__(
        self,
        *arguments: Any,
        lazy_commands: Mapping[str, LazyCommand],
        program: str,
        extra: str,
        libraries: Collection[str] = EXTRA_LIBRARIES,
        **options: Any,
    ) -> None:
        """Take the table, and what `program` needs `libraries` from: the `extra`."""
        super().__init__(*arguments, **options)
        self._lazy_commands = lazy_commands
        self._program, self._extra, self._libraries = program, extra, libraries

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the table."""
        return sorted(self._lazy_commands)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        return self._load_command(name) if name in self._lazy_commands else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, and load none of them."""
        with formatter.section("Commands"):
            rows = [(name, command.short_help) for name, command in sorted(self._lazy_commands.items())]
            formatter.write_dl(rows)

    def _load_command(self, name: str) -> click.Command:
        command = self._lazy_commands[name]
        try:
            return cast("click.Command", getattr(import_module(command.module), command.attribute))
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in self._libraries:
                raise
            return self._missing_extra_command(name, missing)

    def _missing_extra_command(self, name: str, missing: str) -> click.Command:
        def refuse() -> None:
            raise click.ClickException(f"{self._program} {name} needs {missing}: pip install {self._extra}")

        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        return click.Command(name, settings, refuse, help=f"Not installed: pip install {self._extra}.")
