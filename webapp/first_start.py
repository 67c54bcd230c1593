"""A start on a database that is not ready: migrations; on the very first start also an account and a quiz."""

from __future__ import annotations

import click

from poolproof.integrations.flask_ext import read, run_in_transaction
from webapp import schema
from webapp.accounts import passwords, users
from webapp.accounts.roles import Role
from webapp.app import create_app
from webapp.quizzes.sample_quiz import add_sample_quiz
from webapp.settings import Settings

FIRST_AUTHOR = "author"


def set_up(settings: Settings) -> None:
    """Bring the tables up to date; where there is no account yet, create one and the sample quiz."""
    app = create_app(settings, with_routes=False)
    schema.upgrade(app)
    with app.app_context():
        _create_first_account()


def _create_first_account() -> None:
    with read() as connection:
        if not users.has_no_users(connection):
            return
    password = passwords.random_password()
    hashed = passwords.hash_password(password)
    run_in_transaction(lambda connection: users.add(connection, FIRST_AUTHOR, hashed, Role.AUTHOR))
    run_in_transaction(add_sample_quiz)
    click.echo(
        f"\nWelcome. An author account has been made; this is shown once:\n"
        f"    name      {FIRST_AUTHOR}\n    password  {password}\n"
    )
