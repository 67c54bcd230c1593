"""The `poolproof` command: each command is imported when it is called, so that none waits for another's imports."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple, cast

import click
from flask import Flask
from flask.cli import FlaskGroup, with_appcontext


class LazyCommand(NamedTuple):
    """Where a command is defined, and its line in the list of commands (a test compares it with the docstring)."""

    module: str
    attribute: str
    short_help: str


COMMANDS = {
    "collect": LazyCommand("webapp.collector.commands", "collect", "Collect the questions of a source into the bank."),
    "db": LazyCommand("webapp.schema_commands", "db", "Bring the tables to a revision, or show which it is."),
    "doctor": LazyCommand(
        "webapp.console.commands",
        "doctor",
        "Check the deployment, with the arithmetic.",
    ),
    "items": LazyCommand("webapp.bank.commands", "items", "Import, export and undo imports of the bank's items."),
    "lab": LazyCommand(
        "webapp.lab.commands", "lab", "Rehearse a push, an incident and outages, and find the right size."
    ),
    "routes": LazyCommand("flask.cli", "routes_command", "Show the routes for the app."),
    "serve": LazyCommand("webapp.serve", "serve", "Bring the database up to date, then serve with Gunicorn."),
    "shell": LazyCommand("flask.cli", "shell_command", "Run a shell in the app context."),
    "user": LazyCommand("webapp.accounts.commands", "user", "Accounts of authors and operators."),
}
RENAMED_COMMANDS = {
    "collect --list": "collect list",
    "collect --resume": "collect resume",
    "collect --worker": "collect worker",
    "export": "items export",
    "import": "items import",
    "undo-import": "items undo",
    "user password": "user set-password",
}
"""What commands were called before; such a call is refused with the present name."""
COMMANDS_WITHOUT_APP = {"serve"}
"""Commands that create no app: `serve` becomes Gunicorn, whose workers create their own."""
COMMANDS_WITH_ROUTES = {"routes", "shell"}
"""Commands whose app has pages and REST; the others answer no requests."""


class LazyGroup(FlaskGroup):
    """The group of the commands above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command; None where there is none of that name."""
        if name not in COMMANDS:
            return None
        command = load_command(name)
        return command if name in COMMANDS_WITHOUT_APP else _wrap_in_app_context(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; refuse a former name of one with its present name."""
        for length in (1, 2):
            called = " ".join(args[:length]).partition("=")[0]
            if called in RENAMED_COMMANDS:
                ctx.fail(f"`poolproof {called}` is called `poolproof {RENAMED_COMMANDS[called]}` now.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.short_help) for name, command in sorted(COMMANDS.items())])


def load_command(name: str) -> click.Command:
    """Import and return a command of the table above."""
    command = COMMANDS[name]
    return cast("click.Command", getattr(import_module(command.module), command.attribute))


def main() -> None:
    """Run the command line."""

    def create() -> Flask:
        from webapp.app import create_app

        command = click.get_current_context().find_root().invoked_subcommand
        return create_app(with_routes=command in COMMANDS_WITH_ROUTES)

    run(create)


def run(create_app: Callable[[], Flask]) -> None:
    """Run the command line for apps made by `create_app`; errors are one sentence, bugs a traceback."""
    try:
        create_cli(create_app).main()
    except Exception as error:  # noqa: BLE001 - the process ends here
        from webapp.cli_errors import print_traceback, report_error

        if not report_error(error):
            print_traceback(error)
        sys.exit(1)


def create_cli(create_app: Callable[[], Flask]) -> FlaskGroup:
    """Return the command group for apps made by `create_app`."""
    return LazyGroup(
        name="poolproof",
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_print_version,
                help="Show the version and exit.",
            )
        ],
        create_app=create_app,
        add_default_commands=False,
        add_version_option=False,
        set_debug_flag=False,
        load_dotenv=False,
        help="Poolproof: a quiz service that survives its own push notification.",
    )


def _print_version(ctx: click.Context, option: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"Poolproof {version('poolproof-quiz')}, Python {platform.python_version()}")
        ctx.exit()


def _wrap_in_app_context(command: click.Command) -> click.Command:
    """Have a command run in the app's context; of a group, each command that its `get_command` returns."""
    if isinstance(command, click.Group):
        return _AppContextGroup(command)
    if command.callback is not None:
        command.callback = _with_app_context(command.callback)
    return command


class _AppContextGroup(click.Group):
    """A group whose commands run in the app's context."""

    def __init__(self, group: click.Group) -> None:
        super().__init__(group.name, help=group.help, params=group.params, callback=group.callback)
        self._group = group

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._group.list_commands(ctx)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = self._group.get_command(ctx, name)
        return None if command is None else _wrap_in_app_context(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._group.format_commands(ctx, formatter)


def _with_app_context(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls `callback` in the app's context, and closes the pools' connections afterwards."""
    if hasattr(callback, "closes_connections"):
        return callback

    @with_appcontext
    def call(*arguments: Any, **options: Any) -> Any:
        from poolproof.engine import dispose_engines

        try:
            return callback(*arguments, **options)
        finally:
            # Otherwise the server would count an aborted client for each connection.
            dispose_engines()

    wrapped = update_wrapper(call, callback)
    wrapped.closes_connections = True  # type: ignore[attr-defined]
    return wrapped
