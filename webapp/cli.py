"""The `poolproof` command: serve, and the commands of the features."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn, cast

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup, NoAppException, routes_command, shell_command, with_appcontext
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from webapp.accounts import passwords, users
from webapp.accounts.commands import user
from webapp.accounts.roles import Role
from webapp.bank.commands import export_items, import_items
from webapp.console.commands import doctor
from webapp.errors import DomainError
from webapp.pooling import driver
from webapp.pooling.engine import close_connections
from webapp.pooling.errors import PoolConfigurationError
from webapp.pooling.extension import read, transact
from webapp.quizzes.starter import add_starter_quiz
from webapp.settings import HOME, SettingsError

FIRST_AUTHOR = "author"


@click.command()
@click.option("--migrate/--no-migrate", default=True, help="Bring the database up to date first.")
def serve(migrate: bool) -> None:
    """Bring the database up to date, then serve with Gunicorn."""
    settings = current_app.config["SETTINGS"]
    click.echo(f"Database: {settings.shown_database_url}")
    if migrate:
        upgrade()
        _welcome()
    close_connections()
    sys.stdout.flush()
    # The master must begin clean: what it has imported would survive a reload.
    config = HOME / "gunicorn.conf.py"
    os.chdir(HOME)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(config), "wsgi:app"])  # noqa: S606


def _welcome() -> None:
    """On the first start: somebody who can sign in, and something to play."""
    with read() as connection:
        if not users.nobody_yet(connection):
            return
    password = passwords.random_password()
    hashed = passwords.hash_password(password)
    transact(lambda connection: users.add(connection, FIRST_AUTHOR, hashed, Role.AUTHOR))
    transact(add_starter_quiz)
    click.echo(
        f"\nWelcome. An author account has been made; this is shown once:\n"
        f"    name      {FIRST_AUTHOR}\n    password  {password}\n"
    )


def poolproof(create_app: Callable[[], Flask]) -> FlaskGroup:
    """Return the command group for apps made by `create_app`."""

    def create() -> Flask:
        try:
            return create_app()
        except (SettingsError, PoolConfigurationError) as error:
            raise NoAppException(str(error)) from error

    group = FlaskGroup(
        name="poolproof",
        create_app=create,
        add_default_commands=False,
        add_version_option=False,
        set_debug_flag=False,
        load_dotenv=False,
        help="Poolproof: a quiz service that survives its own push notification.",
    )
    group.add_command(_Lab("lab", help="Rehearse what will come."))
    for command in (shell_command, routes_command, serve, doctor, user, import_items, export_items):
        group.add_command(_in_context(command))
    return group


class _Lab(click.Group):
    """The lab's commands, imported only when somebody asks for them: they are never on the serving path."""

    def list_commands(self, context: click.Context) -> list[str]:
        return self._loaded().list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        command = self._loaded().get_command(context, name)
        return None if command is None else _in_context(command)

    def _loaded(self) -> click.Group:
        return cast("click.Group", import_module("webapp.lab.commands").lab)


def run(create_app: Callable[[], Flask]) -> None:
    """Run the command line; what went wrong is one sentence, not a traceback."""
    try:
        poolproof(create_app).main()
    except DomainError as error:
        _fail(error.detail)
    except OperationalError as error:
        what = "The database cannot be reached" if driver.is_away(error) else "The database refused"
        _fail(f"{what}: {error.orig.args[-1] if error.orig else error}")
    finally:
        # A goodbye to the server; otherwise it counts a lost client.
        close_connections()


def _fail(reason: str) -> NoReturn:
    click.echo(f"Error: {reason}", err=True)
    sys.exit(1)


def _in_context(command: click.Command) -> click.Command:
    """Put the app's context around a command, or around each command of a group."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _in_context(part)
    elif command.callback is not None:
        command.callback = with_appcontext(command.callback)
    return command
