"""Options that several commands of the lab share, and old names of options, which are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DEFAULT_FOLDER = Path("poolproof-reports")
"""Where the commands of `python -m poolproof` store their reports, below the working directory."""
CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


def database_url_option(command: CommandFunction) -> CommandFunction:
    """Add `--url`, SQLAlchemy's URL of a database, or the variable DATABASE_URL."""
    text = "SQLAlchemy's URL of the database, as create_engine takes it.  [default: DATABASE_URL]"
    return click.option("--url", required=True, envvar="DATABASE_URL", callback=_check_url, help=text)(command)


def _check_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        make_url(value)
    except ArgumentError as error:
        raise click.BadParameter(f"{error}") from error
    return value


def with_report_options(command: CommandFunction) -> CommandFunction:
    """Add `--reports` and `--json` to a command, as `folder` and `as_json`."""
    folder_type = click.Path(file_okay=False, path_type=Path)
    folder_help = "Folder of the reports. Default: reports in the instance folder."
    folder = click.option("--reports", "folder", type=folder_type, help=folder_help)
    return folder(click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command))


def renamed_option(old: str, new: str, *, is_flag: bool = False) -> Callable[[CommandFunction], CommandFunction]:
    """Refuse an option's old name in a sentence that has the new one; the help does not list it."""

    def refuse(_context: click.Context, _parameter: click.Parameter, value: object) -> None:
        if value:
            raise click.UsageError(f"{old} is called {new} now.")

    return click.option(old, is_flag=is_flag, hidden=True, expose_value=False, callback=refuse)
