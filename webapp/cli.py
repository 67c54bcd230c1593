"""The `poolproof` command: every command is loaded when it is called, so that none waits for what another needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from typing import Any, NamedTuple, cast

import click
from flask import Flask
from flask.cli import FlaskGroup, NoAppException, with_appcontext


class LazyCommand(NamedTuple):
    """Where a command is, and the line that the list of commands has for it (a test holds both alike)."""

    module: str
    attribute: str
    short_help: str


COMMANDS = {
    "collect": LazyCommand("webapp.collector.commands", "collect", "Collect the questions of SOURCE into the bank."),
    "db": LazyCommand("webapp.schema_commands", "db", "Bring the tables to a revision, or show which it is."),
    "doctor": LazyCommand(
        "webapp.console.commands",
        "doctor",
        "Check the deployment, with the arithmetic.",
    ),
    "export": LazyCommand(
        "webapp.bank.commands", "export_items", "Write the bank's items to a file; - is standard output."
    ),
    "import": LazyCommand(
        "webapp.bank.commands", "import_items", "Import question files into the bank; - is standard input."
    ),
    "lab": LazyCommand(
        "webapp.lab.commands", "lab", "Rehearse a push, an incident and outages, and find the right size."
    ),
    "routes": LazyCommand("flask.cli", "routes_command", "Show the routes for the app."),
    "serve": LazyCommand("webapp.serve", "serve", "Bring the database up to date, then serve with Gunicorn."),
    "shell": LazyCommand("flask.cli", "shell_command", "Run a shell in the app context."),
    "undo-import": LazyCommand(
        "webapp.bank.commands",
        "undo_import",
        "Undo an import: what it added goes, what it changed is again what it was.",
    ),
    "user": LazyCommand("webapp.accounts.commands", "user", "Accounts of authors and operators."),
}
COMMANDS_WITHOUT_APP = {"serve"}
"""Commands that make no app: `serve` becomes Gunicorn, whose workers make theirs."""
COMMANDS_WITH_ROUTES = {"routes", "shell"}
"""Commands whose app has pages and REST; the others answer no request."""


class LazyGroup(FlaskGroup):
    """The commands above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load a command; None where there is none of that name."""
        if name not in COMMANDS:
            return None
        command = load_command(name)
        return command if name in COMMANDS_WITHOUT_APP else _wrap_in_app_context(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, and load none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.short_help) for name, command in sorted(COMMANDS.items())])


def load_command(name: str) -> click.Command:
    """Return a command of the table above."""
    command = COMMANDS[name]
    return cast("click.Command", getattr(import_module(command.module), command.attribute))


def main() -> None:
    """Run the command line."""

    def create() -> Flask:
        from webapp.app import create_app

        called = click.get_current_context().find_root().invoked_subcommand
        return create_app(with_routes=called in COMMANDS_WITH_ROUTES)

    run(create)


def run(create_app: Callable[[], Flask]) -> None:
    """Run the command line for apps made by `create_app`; what went wrong is one sentence, not a traceback."""
    try:
        create_cli(create_app).main()
    except Exception as error:
        sentence = _error_message(error)
        if sentence is None:
            raise
        click.echo(f"Error: {sentence}", err=True)
        sys.exit(1)


def create_cli(create_app: Callable[[], Flask]) -> FlaskGroup:
    """Return the command group for apps made by `create_app`."""

    def create() -> Flask:
        try:
            return create_app()
        except Exception as error:
            sentence = _error_message(error)
            if sentence is None:
                raise
            raise NoAppException(sentence) from error

    return LazyGroup(
        name="poolproof",
        create_app=create,
        add_default_commands=False,
        add_version_option=False,
        set_debug_flag=False,
        load_dotenv=False,
        help="Poolproof: a quiz service that survives its own push notification.",
    )


def _error_message(error: Exception) -> str | None:
    from webapp.cli_errors import describe_error

    return describe_error(error)


def _wrap_in_app_context(command: click.Command) -> click.Command:
    """Put the app's context around a command, or around each command of a group that `get_command` gives."""
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
    """Run `callback` in the app's context, and close the connections that it has left in the pools."""
    if hasattr(callback, "closes_connections"):
        return callback

    @with_appcontext
    def call(*arguments: Any, **options: Any) -> Any:
        from poolproof.engine import dispose_engines

        try:
            return callback(*arguments, **options)
        finally:
            # A goodbye to the server; otherwise it counts a lost client.
            dispose_engines()

    wrapped = update_wrapper(call, callback)
    wrapped.closes_connections = True  # type: ignore[attr-defined]
    return wrapped
