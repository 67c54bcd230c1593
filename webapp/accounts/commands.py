"""`poolproof user`: the accounts of authors and operators."""

from __future__ import annotations

import sys

import click

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp.accounts import passwords, sessions, users
from webapp.accounts.roles import Role

PASSWORD_OPTION = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input instead of making one."
)


@click.group("user")
def user() -> None:
    """Accounts of authors and operators."""


@user.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.AUTHOR.value, show_default=True,
    help="What the user may do: authors edit the bank and the quizzes, operators use the console.",
)  # fmt: skip
@PASSWORD_OPTION
def add(name: str, role: str, from_stdin: bool) -> None:
    """Add a user; the password is printed once."""
    password = _read_or_generate_password(from_stdin=from_stdin)
    hashed = passwords.hash_password(password)
    run_in_transaction(lambda connection: users.add(connection, name, hashed, Role(role)))
    click.echo(f"Added {name} ({role}).")
    _print_password(password, from_stdin=from_stdin)


@user.command("set-password")
@click.argument("name")
@PASSWORD_OPTION
def change_password(name: str, from_stdin: bool) -> None:
    """Give a user another password; open sessions and tokens end."""
    password = _read_or_generate_password(from_stdin=from_stdin)
    hashed = passwords.hash_password(password)
    run_in_transaction(lambda connection: users.change_password(connection, name, hashed))
    click.echo(f"{name} has a new password; open sessions and tokens have ended.")
    _print_password(password, from_stdin=from_stdin)


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user."""
    run_in_transaction(lambda connection: users.remove(connection, name))
    click.echo(f"Removed {name}.")


@user.command("sign-out")
@click.argument("name")
def sign_out(name: str) -> None:
    """End all of a user's sessions and REST tokens."""
    count = run_in_transaction(lambda connection: sessions.end_all(connection, name))
    click.echo(f"Ended {count} sessions of {name}, and all REST tokens.")


@user.command()
@click.argument("name")
def disable(name: str) -> None:
    """Let a user sign in no more; sessions end at once, REST tokens are void."""
    run_in_transaction(lambda connection: users.disable(connection, name))
    click.echo(f"Disabled {name}; `poolproof user enable {name}` undoes it.")


@user.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let a disabled user sign in again."""
    run_in_transaction(lambda connection: users.enable(connection, name))
    click.echo(f"Enabled {name}.")


@user.command("list")
def show() -> None:
    """List the users, with their last sign-in."""
    with read() as connection:
        listed = users.list_users(connection)
    for record in listed:
        last = f"{record.last_sign_in_at:%Y-%m-%d %H:%M} UTC" if record.last_sign_in_at else "never"
        state = "\tdisabled" if record.disabled_at else ""
        since = f"since {record.created_at:%Y-%m-%d}"
        click.echo(f"{record.name}\t{record.role.value}\t{since}\tlast sign-in {last}{state}")


def _read_or_generate_password(*, from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\n") if from_stdin else passwords.random_password()


def _print_password(password: str, *, from_stdin: bool) -> None:
    if not from_stdin:
        click.echo(f"Password: {password}")
