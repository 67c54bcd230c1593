"""`poolproof user`: the accounts of authors and operators."""

from __future__ import annotations

import sys

import click

from webapp.accounts import passwords, users
from webapp.accounts.roles import Role
from webapp.pooling.extension import read, transact

PASSWORD = click.option(
    "--password-stdin", "given", is_flag=True, help="Read the password from standard input instead of making one."
)


@click.group("user")
def user() -> None:
    """Accounts of authors and operators."""


@user.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.AUTHOR.value)
@PASSWORD
def add(name: str, role: str, given: bool) -> None:
    """Add a user; the password is printed once."""
    password = _password(given=given)
    hashed = passwords.hash_password(password)
    transact(lambda connection: users.add(connection, name, hashed, Role(role)))
    click.echo(f"Added {name} ({role}).")
    _print_password(password, given=given)


@user.command("password")
@click.argument("name")
@PASSWORD
def change_password(name: str, given: bool) -> None:
    """Give a user another password; open sessions and tokens end."""
    password = _password(given=given)
    hashed = passwords.hash_password(password)
    transact(lambda connection: users.change_password(connection, name, hashed))
    click.echo(f"{name} has a new password; open sessions and tokens have ended.")
    _print_password(password, given=given)


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user."""
    transact(lambda connection: users.remove(connection, name))
    click.echo(f"Removed {name}.")


@user.command("list")
def show() -> None:
    """List the users."""
    with read() as connection:
        everybody = users.everybody(connection)
    for one in everybody:
        click.echo(f"{one.name}\t{one.role.value}\tsince {one.created_at:%Y-%m-%d}")


def _password(*, given: bool) -> str:
    return sys.stdin.readline().rstrip("\n") if given else passwords.random_password()


def _print_password(password: str, *, given: bool) -> None:
    if not given:
        click.echo(f"Password: {password}")
